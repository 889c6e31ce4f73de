// The one stream of changes, and looks again and again while there is none.
import { addSample } from "./charts.js";
import { putRows, reset } from "./list.js";
import { onBack, put, refresh } from "./parts.js";
import { setClock, write } from "./times.js";

// In milliseconds
const POLL = 5_000; // between two looks while no stream is open
const LONGEST_PAUSE = 30_000; // between tries to open a stream that the server refuses
const FRESH = 4_000; // a page that was asked for so recently has missed nothing
const HIDDEN_FOR = 30_000; // after so long a hidden page closes its stream

let stream = null;
let polling = null;
let again = null;
let streams = 0;
let pause = 2_000;
let nextLook = Date.now() + POLL;

// Follow the stream if this page shows anything that changes, unless the viewer wants no changes.
export function follow() {
	const paused = document.documentElement.dataset.updates === "paused";
	const wanted = document.querySelector("#list, #job, #queues, [data-follow]") !== null;
	if (paused && wanted) say("paused", false);
	if (paused) disconnect();
	else if (wanted && !stream) connect();
}

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
		polling ??= setInterval(refresh, POLL);
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
	stream.addEventListener("sample", (event) => {
		addSample(JSON.parse(event.data));
		// Figures of kinds, queues and workers are not pushed.
		if (document.getElementById("figures") && Date.now() > nextLook) {
			nextLook = Date.now() + POLL;
			refresh();
		}
	});
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

// Connect now, without waiting for the next try.
onBack(() => {
	if (stream?.readyState === EventSource.CLOSED) connect();
});

let leaving = null;
document.addEventListener("visibilitychange", () => {
	clearTimeout(leaving);
	if (document.hidden) leaving = setTimeout(disconnect, HIDDEN_FOR);
	else follow();
});

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
