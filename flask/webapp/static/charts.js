// The charts of queues, and the samples that they show: means of some seconds, so that they are smooth.
import { Chart } from "./chart.js";

// Seconds that are shown, and of which each point is the mean
const WINDOWS = { "1h": { seconds: 3_600, step: 10 }, "24h": { seconds: 86_400, step: 300 } };

const charts = [];
let shown = "1h";
let samples = [];
let present = []; // samples of the point that is not complete

// What each chart shows of a sample, for each of its lines
const number = (field) => (sample, name) => sample.queues[name]?.[field] ?? 0;
const VALUES = {
	"chart-depth": number("unfinished"),
	"chart-done": number("out_rate"),
	// A worker takes jobs from several queues: so this is no sum.
	"chart-workers": (sample) => Math.max(0, ...Object.keys(sample.queues).filter(isShown).map((name) => number("consumers")(sample, name))),
};
let isShown = null;

export function startCharts(place) {
	const only = place.dataset.only.split(" ");
	isShown = (name) => only.includes(name);
	const queues = place.dataset.queues.split(" ").map((name, number) => ({ name, number }));
	place.hidden = false;
	const point = (at) => charts.forEach((chart) => chart.show(at)); // one crosshair for all
	for (const figure of place.querySelectorAll("figure")) {
		const lines = figure.id === "chart-workers" ? [{ name: "workers", number: "all" }] : queues.filter(({ name }) => isShown(name));
		charts.push(new Chart(figure, lines, VALUES[figure.id], point));
	}
	for (const button of place.querySelectorAll("[data-window]")) {
		button.addEventListener("click", () => {
			for (const other of place.querySelectorAll("[data-window]")) other.ariaPressed = String(other === button);
			shown = button.dataset.window;
			samples = [];
			loadHistory().catch(() => {});
		});
	}
}

function draw() {
	for (const chart of charts) chart.draw(samples, WINDOWS[shown]);
}

// What the charts have not got yet. Nothing, if no sample was missed.
export async function loadHistory() {
	if (charts.length === 0 || Date.now() / 1000 - (samples.at(-1)?.at ?? 0) < WINDOWS[shown].step) return;
	const asked = shown;
	const answer = await fetch(`/flask/queues/history?window=${asked}`);
	const { data } = await answer.json();
	if (!answer.ok || asked !== shown) return;
	samples = data;
	present = [];
	draw();
}

export function addSample(sample) {
	if (charts.length === 0 || samples.length === 0 || sample.at <= samples.at(-1).at) return;
	const { seconds, step } = WINDOWS[shown];
	const slot = (each) => Math.floor(each.at / step);
	present = [...present.filter((each) => slot(each) === slot(sample)), sample];
	const kept = samples.filter((each) => each.at > sample.at - seconds && slot(each) !== slot(sample));
	samples = [...kept, mean(present)];
	draw();
}

function mean(some) {
	const of = (name, field) => some.reduce((sum, each) => sum + each.queues[name][field], 0) / some.length;
	const { at, queues } = some.at(-1);
	const fields = (name) => Object.fromEntries(["unfinished", "out_rate", "consumers"].map((field) => [field, of(name, field)]));
	return { at, queues: Object.fromEntries(Object.keys(queues).map((name) => [name, fields(name)])) };
}
