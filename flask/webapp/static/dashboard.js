// Makes the pages live. Without this file they work by page loads. With it, the same pages and forms are fetched, and
// their parts are put into the page that is open:
//   data-live   a part that is kept up to date
//   data-part   a part that the answer to a form in it replaces: the same form with its errors, for instance
import { Chart } from "./chart.js";
import "./keys.js";

// In milliseconds
const POLL = 5_000; // between two looks while no stream is open
const LONGEST_PAUSE = 30_000; // between tries to open a stream that the server refuses
const FRESH = 4_000; // a page that was asked for so recently has missed nothing
const STEADY = 1_500; // for so long after the pointer moved over a button of the list, no row moves
const REST = 1_000; // for so long a button that has replaced another one takes no click
const HIDDEN_FOR = 30_000; // after so long a hidden page closes its stream

// --- times --------------------------------------------------------------------------------------------------------

// All times are those of the server's clock, in seconds, and all are rounded down: so the figures fit together.
let lag = Date.now() / 1000 - Number(document.body.dataset.now);
const now = () => Date.now() / 1000 - lag;

// The id of an event is the server's time in milliseconds. What came fastest knows the clock best.
function setClock(event) {
	lag = Math.min(lag, (Date.now() - Number(event.lastEventId)) / 1000);
}

function duration(seconds) {
	if (seconds < 10) return `${(Math.floor(Math.max(seconds, 0) * 10) / 10).toFixed(1)} s`;
	if (seconds < 60) return `${Math.floor(seconds)} s`;
	const pad = (number) => String(number).padStart(2, "0");
	const [hours, minutes, rest] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, Math.floor(seconds) % 60];
	return hours ? `${hours}:${pad(minutes)}:${pad(rest)}` : `${minutes}:${pad(rest)}`;
}

function relative(seconds) {
	const far = Math.abs(seconds);
	if (far < 2) return "now";
	const [value, unit] =
		far < 60 ? [far, "s"] : far < 3600 ? [far / 60, "min"] : far < 172_800 ? [far / 3600, "h"] : [far / 86_400, "days"];
	const text = `${Math.floor(value)} ${unit}`;
	return seconds < 0 ? `in ${text}` : `${text} ago`;
}

function tick() {
	const moment = now();
	for (const time of document.querySelectorAll("main time")) {
		time.title ||= new Date(time.dateTime).toLocaleString();
		const text = relative(moment - Date.parse(time.dateTime) / 1000);
		write(time, time.closest(".facts, .slots, #story") ? `${time.title}, ${text}` : text);
	}
	for (const span of document.querySelectorAll("[data-since]")) write(span, duration(moment - Number(span.dataset.since)));
}

function write(element, text) {
	if (element.textContent !== text) element.textContent = text;
}

// --- putting parts into the page ------------------------------------------------------------------------------------

const parse = (html) => new DOMParser().parseFromString(html, "text/html");

// Replace an element, and keep the focus where it was.
function replace(old, fresh) {
	const focused = old.contains(document.activeElement) ? document.activeElement : null;
	const place = focused && [...old.querySelectorAll(focused.tagName)].indexOf(focused);
	rest(old, fresh);
	old.replaceWith(fresh);
	if (focused) [...fresh.querySelectorAll(focused.tagName)][place]?.focus();
}

// A job's button that has replaced another one takes no click for a moment. Otherwise the second click of a double click
// on "Cancel" would go to "Retry".
function rest(old, fresh) {
	for (const button of fresh.querySelectorAll(".actions button")) {
		const { id } = button.closest("[id]");
		const before = (old.id === id ? old : old.querySelector(`[id="${id}"]`))?.querySelector(".actions button");
		if (!before || (before.textContent === button.textContent && !before.ariaDisabled)) continue;
		button.ariaDisabled = "true";
		setTimeout(() => (button.ariaDisabled = null), REST);
	}
}

// Put a fragment that was pushed into its place.
function put(id, html) {
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
		if (!fresh) continue;
		unfold(part, fresh);
		if (part.id === "todos") merge(part, fresh);
		else if (!part.isEqualNode(fresh)) replace(part, fresh); // a warning that stays is announced only once
	}
	tick();
}

// Fetch this page again. What arrives meanwhile waits, because it may be newer than the page that is fetched.
let waiting = null;
let down = false;

function busy(action) {
	if (waiting && !waiting.includes(action)) waiting.push(action);
	return waiting !== null;
}

async function refresh() {
	if (busy(refresh)) return;
	waiting = [];
	try {
		const address = new URL(location.href);
		address.searchParams.delete("said");
		const answer = await fetch(address, { headers: { Accept: "text/html" } });
		if (answer.redirected) location.assign(answer.url); // the session is over: to the login
		if (answer.ok) update(parse(await answer.text()));
		if (down && answer.ok) reconnect();
		down = answer.status >= 500;
		if (charts.length > 0) await loadHistory();
	} catch {
		down = true; // perhaps it is being restarted
	} finally {
		const actions = waiting;
		waiting = null;
		for (const action of actions) action();
	}
}

// While the pointer moves towards a button of the list, and after a click there, no row may come or go: another job's
// button would be under the pointer.
let steadyUntil = 0;
let missed = null;

for (const type of ["pointermove", "pointerdown"]) {
	document.addEventListener(type, (event) => {
		if (event.target.closest("#jobs .actions")) steadyUntil = Date.now() + STEADY;
	});
}

function steady() {
	if (Date.now() >= steadyUntil) return false;
	missed ??= setTimeout(() => {
		missed = null;
		if (!steady()) refresh();
	}, steadyUntil - Date.now());
	return true;
}

// --- rows that are pushed -------------------------------------------------------------------------------------------

function rowsOf(html) {
	const template = document.createElement("template");
	template.innerHTML = html;
	return [...template.content.querySelectorAll("tr")];
}

function belongs(row, list) {
	const { states, type, failure } = list.dataset;
	return (
		(!states || states.split(" ").includes(row.dataset.state)) &&
		(!type || type === row.dataset.type) &&
		(!failure || failure === row.dataset.failure)
	);
}

function putRows(html) {
	if (busy(() => putRows(html))) return;
	const job = document.getElementById("job");
	const list = document.getElementById("list");
	const rows = rowsOf(html);
	if (job && rows.some((row) => row.id === `job-${job.dataset.id}`)) refresh();
	if (list?.dataset.words) refreshSoon(); // only the server knows which jobs the words fit
	else if (list) for (const row of rows) putRow(row, list);
	tick();
}

const position = (row) => Number(row.dataset.seq);

function putRow(row, list) {
	const body = list.querySelector("tbody");
	const old = document.getElementById(row.id);
	if (old) {
		if (belongs(row, list) || steady()) replace(old, row);
		else old.remove();
	} else if (belongs(row, list) && "newest" in list.dataset) {
		if (position(row) < Number(list.dataset.end)) return; // it stands on the next page
		if (steady()) return;
		row.classList.add("new");
		body.insertBefore(row, [...body.rows].find((other) => position(other) < position(row)) ?? null);
		if (body.rows.length > Number(list.dataset.size)) {
			body.lastElementChild.remove();
			endPage(list);
		}
	}
}

// The next page ("Older") begins after the last row that is shown.
function endPage(list) {
	const last = list.querySelector("tbody").lastElementChild;
	const older = list.querySelector("[rel=next]");
	const address = new URL(older.href);
	address.searchParams.set("cursor", last.dataset.cursor);
	older.href = address;
	older.hidden = false;
	list.dataset.end = last.dataset.seq;
}

// More jobs have changed than the server sends one by one: these are the newest. A page of other jobs, or of more, is
// fetched again, a little later.
let reloadAt = 0;

function reset(html) {
	const list = document.getElementById("list");
	const rows = rowsOf(html);
	const { states, type, words, failure, size } = list?.dataset ?? {};
	if (list && "newest" in list.dataset && !states && !type && !words && !failure && Number(size) <= rows.length) {
		if (steady() || busy(() => reset(html))) return;
		list.querySelector("tbody").replaceChildren(...rows.slice(0, Number(size)));
		endPage(list);
		tick();
	} else refreshSoon();
}

function refreshSoon() {
	if (Date.now() <= reloadAt) return;
	// Not all viewers at the same moment.
	const pause = POLL + Math.random() * POLL;
	reloadAt = Date.now() + pause;
	setTimeout(() => steady() || refresh(), pause);
}

// How many jobs each tab has. The title and the icon tell how many have failed, also while another page is in front.
const title = document.title;

function putCounts(counts) {
	for (const place of document.querySelectorAll("[data-count]")) {
		write(place, (counts[place.dataset.count] ?? 0).toLocaleString("en"));
	}
	document.title = counts.Failed > 0 ? `(${counts.Failed} failed) ${title}` : title;
	const icon = document.querySelector("link[rel=icon]");
	const { well, failed } = icon.dataset;
	const fits = counts.Failed > 0 ? failed : well;
	if (icon.getAttribute("href") !== fits) icon.setAttribute("href", fits);
}

// --- the stream, and polling while there is none --------------------------------------------------------------------

let stream = null;
let polling = null;
let again = null;
let streams = 0;
let pause = 2_000;

function connect() {
	clearTimeout(again);
	stream = new EventSource("/flask/live");
	streams += 1;
	let opened = false;
	stream.addEventListener("open", () => {
		clearInterval(polling);
		polling = null;
		say("live", true);
		pause = 2_000;
		// A stream that reconnects tells what was missed, and the first one what happened in the last seconds. For any
		// other, the page may be too old.
		if (!opened && (streams > 1 || performance.now() > FRESH)) refresh();
		opened = true;
	});
	stream.addEventListener("error", () => {
		polling ??= setInterval(() => steady() || refresh(), POLL);
		say("updated every 5 s", false);
		if (stream?.readyState === EventSource.CLOSED) {
			again = setTimeout(connect, pause);
			pause = Math.min(2 * pause, LONGEST_PAUSE);
		}
	});
	for (const name of ["jobs", "panel"]) stream.addEventListener(name, setClock);
	stream.addEventListener("jobs", (event) => putRows(event.data));
	stream.addEventListener("reset", (event) => reset(event.data));
	for (const id of ["trouble", "health", "panel"]) stream.addEventListener(id, (event) => put(id, event.data));
	stream.addEventListener("counts", (event) => putCounts(JSON.parse(event.data)));
	stream.addEventListener("sample", (event) => addSample(JSON.parse(event.data)));
}

// The server is back: connect now, without waiting for the next try.
function reconnect() {
	if (stream?.readyState === EventSource.CLOSED) connect();
}

function disconnect() {
	stream?.close();
	stream = null;
	clearTimeout(again);
	clearInterval(polling);
	polling = null;
}

function say(text, on) {
	const live = document.getElementById("live");
	live.hidden = false;
	live.toggleAttribute("data-on", on);
	live.textContent = text;
}

let leaving = null;
document.addEventListener("visibilitychange", () => {
	clearTimeout(leaving);
	if (document.hidden) leaving = setTimeout(disconnect, HIDDEN_FOR);
	else if (!stream) connect();
});

// --- charts ---------------------------------------------------------------------------------------------------------

const charts = [];
let samples = [];

function startCharts(place) {
	const queues = place.dataset.queues.split(" ");
	place.hidden = false;
	charts.push(
		new Chart(document.getElementById("chart-depth"), queues, (queue) => queue.unfinished),
		new Chart(document.getElementById("chart-done"), queues, (queue) => queue.out_rate),
	);
}

async function loadHistory() {
	const answer = await fetch("/flask/queues/history");
	if (answer.ok) samples = (await answer.json()).data;
	for (const chart of charts) chart.draw(samples);
}

function addSample(sample) {
	if (samples.length > 0 && sample.at <= samples.at(-1).at) return;
	samples = [...samples.filter((old) => old.at > sample.at - 600), sample];
	for (const chart of charts) chart.draw(samples);
}

// --- forms ----------------------------------------------------------------------------------------------------------

document.addEventListener("submit", async (event) => {
	const form = event.target;
	if (form.method !== "post" || "plain" in form.dataset) return;
	event.preventDefault();
	const button = event.submitter;
	if (button?.ariaDisabled) return; // it is being sent, or rests
	if (refuse(form)) return;
	if (button) button.ariaDisabled = "true";
	try {
		await send(form);
	} catch {
		notice("The server does not answer. Nothing was sent; please try again in a moment.");
	}
	if (button) button.ariaDisabled = null;
});

// What the browser cannot read (half a time, "5-10" as a number) it would send as an empty field. Tell whether there is
// such a field, and say it there.
function refuse(form) {
	const unread = [...form.elements].filter((field) => field.validity.badInput);
	if (unread.length === 0) return false;
	forgive(form);
	for (const field of unread) {
		const error = document.createElement("p");
		error.id = `${field.id}-error`;
		error.className = "error";
		const name = field.labels[0].firstChild.textContent.trim();
		error.textContent = field.type === "number" ? `${name} is not a number.` : `${name} is not complete.`;
		field.ariaInvalid = "true";
		field.setAttribute("aria-describedby", `${field.id}-hint ${error.id}`);
		field.after(error);
	}
	notice("Not submitted: see what is wrong beside the fields.");
	unread[0].focus();
	return true;
}

function forgive(form) {
	for (const error of form.querySelectorAll(".error")) error.remove();
	for (const field of form.querySelectorAll("[aria-invalid]")) field.ariaInvalid = null;
}

async function send(form) {
	const body = new URLSearchParams(new FormData(form));
	for (const input of form.querySelectorAll("input[type=datetime-local]")) {
		if (input.value) body.set(input.name, new Date(input.value).toISOString());
	}
	const headers = { Accept: "text/html" };
	// Parts that were pushed are the same for all people, so their forms have no token of their own.
	const token = document.querySelector("meta[name=csrf-token]");
	if (token) headers["X-CSRFToken"] = token.content;
	const answer = await fetch(form.action, { method: "POST", body, headers });
	const page = parse(await answer.text());
	notice(...(page.getElementById("problem") ?? page.getElementById("notice"))?.childNodes ?? ["The server does not answer."]);
	const part = form.closest("[data-part]");
	const fresh = part && page.getElementById(part.id);
	if (fresh) {
		for (const input of form.querySelectorAll("input[type=datetime-local]")) {
			const same = fresh.querySelector(`[id="${input.id}"]`);
			if (same) same.value = input.value;
		}
		replace(part, fresh);
		prepareForms();
		fresh.querySelector("[aria-invalid]")?.focus();
	}
	if (!answer.ok) return;
	forgive(form);
	if (!steady()) refresh();
}

function notice(...words) {
	document.getElementById("notice").replaceChildren(...words);
}

// Another kind of job: only the form changes. A click on the kind that is shown already changes nothing, and of several
// clicks the last one counts.
let chosen = null;

document.addEventListener("click", async (event) => {
	const link = event.target.closest("a[data-form]");
	if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
	event.preventDefault();
	chosen = link.href;
	if (link.ariaCurrent) return;
	try {
		const page = parse(await (await fetch(link.href, { headers: { Accept: "text/html" } })).text());
		if (chosen !== link.href) return;
		replace(document.getElementById("submit"), page.getElementById("submit"));
		prepareForms();
	} catch {
		if (chosen === link.href) location.href = link.href;
	}
});

// A tick is saved at once.
document.addEventListener("change", (event) => {
	if (event.target.matches("#todos input[name=done]")) event.target.form.requestSubmit();
});

// Times are entered in the viewer's own zone, and errors stand beside the fields: the browser need not show its own.
function prepareForms() {
	for (const zone of document.querySelectorAll(".zone")) zone.textContent = "your time";
	for (const form of document.forms) form.noValidate = form.method === "post";
}

// --------------------------------------------------------------------------------------------------------------------

prepareForms();
tick();
setInterval(tick, 1000);
const place = document.getElementById("charts");
if (place) {
	startCharts(place);
	loadHistory().catch(() => {});
}
if (document.querySelector("#list, #job, #queues")) connect();
