// The list of jobs: rows that come, change and go.
import { busy, refresh, replace } from "./parts.js";
import { tellPicked } from "./select.js";
import { now, tick } from "./times.js";

// In milliseconds: after so long a list that has changed too much is fetched again, and up to twice as long.
const LATER = 5_000;
// In seconds: a job that is due so soon does not count as scheduled. The server says the same.
const SOON = 5;

const list = () => document.getElementById("list");
const position = (row) => Number(row.dataset.seq);

// --- rows stay where they are while somebody points at them ---------------------------------------------------------

// New jobs that are not shown yet, and whether the list shows some that no longer belong there.
const arrived = new Set();
let stale = false;

// Tell whether somebody is about to do something with a row.
function held() {
	const body = document.querySelector("#jobs tbody");
	return Boolean(body) && (body.matches(":hover") || body.querySelector(":focus-visible, :checked") !== null);
}

function tellArrived() {
	const button = document.getElementById("arrived");
	if (!button) return;
	button.hidden = arrived.size === 0;
	button.textContent = arrived.size === 1 ? "1 new job" : `${arrived.size} new jobs`;
}

let wanted = false;

document.addEventListener("click", (event) => {
	if (event.target.id !== "arrived") return;
	wanted = true;
	refresh();
});

// Once nobody points at a row any more, the list shows how things are.
export function release() {
	if ((arrived.size === 0 && !stale) || held()) return;
	forget();
	refresh();
}

// Put the list of a page that was fetched in place of the one that is shown.
export function putList(old, fresh) {
	if (held() && !wanted) {
		for (const row of [...fresh.querySelectorAll("tbody tr")]) putRow(row, old);
		stale = true;
	} else {
		if (!old.isEqualNode(fresh)) replace(old, fresh);
		forget();
	}
}

// The list that is shown now is complete.
export function forget() {
	wanted = stale = false;
	arrived.clear();
	tellArrived();
	tellPicked();
}

// --- rows that are pushed -------------------------------------------------------------------------------------------

function rowsOf(html) {
	const template = document.createElement("template");
	template.innerHTML = html;
	return [...template.content.querySelectorAll("tr")];
}

function belongs(row, list) {
	const { states, type, failure, scheduled } = list.dataset;
	return (
		(!states || states.split(" ").includes(row.dataset.state)) &&
		(!type || type === row.dataset.type) &&
		(!failure || failure === row.dataset.failure) &&
		(!scheduled || scheduled === String(waitsForItsTime(row)))
	);
}

const waitsForItsTime = (row) => row.dataset.state === "PENDING" && Number(row.dataset.due) > now() + SOON;

export function putRows(html) {
	if (busy(() => putRows(html))) return;
	const rows = rowsOf(html);
	// The job whose page this is, and the one that was just asked for
	const shown = [...document.querySelectorAll("#job, [data-follow]")].map(({ dataset }) => dataset.id ?? dataset.follow);
	if (rows.some((row) => shown.includes(row.id.replace("job-", "")))) refresh();
	if (list()?.dataset.words) refreshLater(); // only the server knows which jobs the words fit
	else if (list()) for (const row of rows) putRow(row, list());
	tick();
}

function putRow(row, list) {
	const old = document.getElementById(row.id);
	const fits = belongs(row, list);
	if (old && (fits || held())) {
		stale ||= !fits;
		replace(old, row);
	} else if (old) {
		old.remove();
	} else if (fits && "newest" in list.dataset) {
		if (position(row) > Number(list.dataset.end)) insert(row, list); // or it stands on the next page
	} else if (fits && position(row) > position(list.querySelector("tbody tr") ?? row)) {
		list.querySelector("[rel=prev]").hidden = false;
	}
}

function insert(row, list) {
	if (held()) {
		arrived.add(row.id);
		tellArrived();
		return;
	}
	const body = list.querySelector("tbody");
	row.classList.add("new");
	body.insertBefore(row, [...body.rows].find((other) => position(other) < position(row)) ?? null);
	if (body.rows.length > Number(list.dataset.size)) {
		body.lastElementChild.remove();
		endPage(list);
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
// fetched again.
let reloadAt = 0;

export function reset(html) {
	if (busy(() => reset(html))) return;
	const rows = rowsOf(html);
	const { states, type, words, failure, size } = list()?.dataset ?? {};
	const filtered = states || type || words || failure;
	if (list() && "newest" in list().dataset && !filtered && Number(size) <= rows.length && !held()) {
		list().querySelector("tbody").replaceChildren(...rows.slice(0, Number(size)));
		endPage(list());
		tick();
	} else refreshLater();
}

function refreshLater() {
	if (Date.now() <= reloadAt) return;
	// Not all viewers at the same moment.
	const pause = LATER + Math.random() * LATER;
	reloadAt = Date.now() + pause;
	setTimeout(refresh, pause);
}
