// Parts of a page that are replaced by fresh ones: pushed by the server, or taken from the same page, fetched again.
import { loadHistory } from "./charts.js";
import { putList } from "./list.js";
import { tick } from "./times.js";

// In milliseconds: for so long a button that has replaced another one takes no click.
const REST = 1_000;

export const parse = (html) => new DOMParser().parseFromString(html, "text/html");

// Replace an element. The focus stays where it was, and so do ticks in front of jobs.
export function replace(old, fresh) {
	const focused = old.contains(document.activeElement) ? document.activeElement : null;
	const place = focused && [...old.querySelectorAll(focused.tagName)].indexOf(focused);
	const ticked = new Set([...old.querySelectorAll("[name=task_id]:checked")].map((box) => box.value));
	for (const box of fresh.querySelectorAll("[name=task_id]")) box.checked = ticked.has(box.value);
	rest(old, fresh);
	old.replaceWith(fresh);
	if (focused) [...fresh.querySelectorAll(focused.tagName)][place]?.focus();
}

// A button that has replaced another one takes no click for a moment. Otherwise the second click of a double click on
// "Cancel" would go to "Retry", or that on "Pause" to "Resume".
const ACTIONS = ":is(.actions, .small) button";

function rest(old, fresh) {
	for (const button of fresh.querySelectorAll(ACTIONS)) {
		const { id } = button.closest("[id]");
		const before = (old.id === id ? old : old.querySelector(`[id="${id}"]`))?.querySelector(ACTIONS);
		if (!before || (before.textContent === button.textContent && !before.ariaDisabled)) continue;
		button.ariaDisabled = "true";
		setTimeout(() => (button.ariaDisabled = null), REST);
	}
}

// Put a fragment that was pushed into its place.
export function put(id, html) {
	const old = document.getElementById(id);
	if (!old) return;
	const fresh = old.cloneNode(false);
	fresh.innerHTML = html;
	if (!old.isEqualNode(fresh)) replace(old, fresh);
	tick();
}

const edited = (part) => [...part.querySelectorAll("input[name=text]")].some((input) => input.value !== input.defaultValue);

// Make a list equal to another one, item by item. An item that somebody is editing stays.
function merge(old, fresh) {
	for (const item of [...old.children]) if (!fresh.querySelector(`[id="${item.id}"]`)) item.remove();
	for (const [place, item] of [...fresh.children].entries()) {
		const known = item.id && old.querySelector(`[id="${item.id}"]`);
		if (!known) old.insertBefore(item, old.children[place] ?? null);
		else if (!edited(known)) replace(known, item);
	}
}

// What the viewer has unfolded stays so.
function unfold(old, fresh) {
	for (const { id } of old.querySelectorAll("details[open]")) fresh.querySelector(`[id="${id}"]`)?.setAttribute("open", "");
}

function update(page) {
	for (const part of document.querySelectorAll("[data-live]")) {
		const fresh = page.getElementById(part.id);
		if (!fresh || (part.id === "following" && part.childElementCount === 0)) continue; // it was closed meanwhile
		unfold(part, fresh);
		if (part.id === "todos") merge(part, fresh);
		else if (part.id === "list") putList(part, fresh);
		else if (!part.isEqualNode(fresh)) replace(part, fresh); // a warning that stays is announced only once
	}
}

// Fetch a page. What arrives meanwhile waits, because it may be newer than the page that is fetched.
let waiting = null;

export function busy(action) {
	if (waiting && !waiting.includes(action)) waiting.push(action);
	return waiting !== null;
}

export async function load(address, use) {
	waiting = [];
	try {
		const answer = await fetch(address, { headers: { Accept: "text/html" } });
		if (answer.redirected) location.assign(answer.url); // the session is over: to the login
		if (answer.ok) use(parse(await answer.text()));
		tick();
		return answer.status;
	} finally {
		const actions = waiting;
		waiting = null;
		for (const action of actions) action();
	}
}

// Fetch this page again. When the server is back, those who wait for that are told.
let down = false;
const whenBack = [];
export const onBack = (action) => whenBack.push(action);

export async function refresh() {
	if (busy(refresh)) return;
	const address = new URL(location.href);
	address.searchParams.delete("said");
	const followed = document.querySelector("[data-follow]");
	if (followed) address.searchParams.set("following", followed.dataset.follow);
	try {
		const status = await load(address, update);
		if (down && status < 400) for (const action of whenBack) action();
		down = status >= 500;
		await loadHistory();
	} catch {
		down = true; // perhaps it is being restarted
	}
}
