// Forms: sent without leaving the page, with what is wrong beside the fields.
import { parse, refresh, replace } from "./parts.js";
import { adopt } from "./preferences.js";
import { ask, unpick } from "./select.js";
import { IN_UTC } from "./times.js";

document.addEventListener("submit", async (event) => {
	const form = event.target;
	if (form.method !== "post" || "plain" in form.dataset) return;
	event.preventDefault();
	const button = event.submitter;
	if (button?.ariaDisabled) return; // it is being sent, or rests
	if (refuse(form)) return;
	if (button) button.ariaDisabled = "true";
	try {
		await send(form, button);
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

async function send(form, button) {
	const body = new URLSearchParams(new FormData(form, button));
	for (const input of form.querySelectorAll("input[type=datetime-local]")) {
		if (input.value && !IN_UTC) body.set(input.name, new Date(input.value).toISOString());
	}
	const headers = { Accept: "text/html" };
	// Parts that were pushed are the same for all people, so their forms have no token of their own.
	const token = document.querySelector("meta[name=csrf-token]");
	if (token) headers["X-CSRFToken"] = token.content;
	const answer = await fetch(button?.getAttribute("formaction") ?? form.action, { method: "POST", body, headers });
	const page = parse(await answer.text());
	const question = page.getElementById("confirm");
	if (question) {
		ask(question);
		prepareForms();
		return;
	}
	form.closest("dialog")?.close();
	notice(...(page.getElementById("problem") ?? page.getElementById("notice"))?.childNodes ?? ["The server does not answer."]);
	const part = form.closest("[data-part]");
	const fresh = part && page.getElementById(part.id);
	if (fresh) {
		replace(part, fresh);
		prepareForms();
		fresh.querySelector("[aria-invalid]")?.focus();
	}
	if (!answer.ok) return;
	forgive(form);
	const followed = page.getElementById("following");
	const following = document.getElementById("following");
	// What was asked for before is still shown, unless this form was about it.
	if (followed?.childElementCount > 0 || form.closest("#following")) replace(following, followed);
	if (form.closest("dialog")) unpick();
	adopt(page);
	refresh();
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
export function prepareForms() {
	for (const zone of document.querySelectorAll(".zone")) zone.textContent = IN_UTC ? "UTC" : "your time";
	for (const input of document.querySelectorAll("[data-utc]")) {
		const moment = new Date(`${input.dataset.utc.replace("Z", "")}Z`);
		if (isNaN(moment)) continue;
		const shift = IN_UTC ? 0 : moment.getTimezoneOffset() * 60_000;
		input.value = new Date(moment - shift).toISOString().slice(0, -1);
		input.removeAttribute("data-utc"); // once is enough
	}
	for (const form of document.forms) form.noValidate = form.method === "post";
}
