// The charts of the page of queues, and the samples that they show.
import { Chart } from "./chart.js";

const charts = [];
let samples = [];

export function startCharts(place) {
	const queues = place.dataset.queues.split(" ");
	place.hidden = false;
	charts.push(
		new Chart(document.getElementById("chart-depth"), queues, (queue) => queue.unfinished),
		new Chart(document.getElementById("chart-done"), queues, (queue) => queue.out_rate),
	);
}

export async function loadHistory() {
	if (charts.length === 0) return;
	const answer = await fetch("/flask/queues/history");
	if (answer.ok) samples = (await answer.json()).data;
	for (const chart of charts) chart.draw(samples);
}

export function addSample(sample) {
	if (samples.length > 0 && sample.at <= samples.at(-1).at) return;
	samples = [...samples.filter((old) => old.at > sample.at - 600), sample];
	for (const chart of charts) chart.draw(samples);
}
