// A line chart of the last minutes, in SVG: one line for each queue, with axes, and values under the pointer.
import { IN_UTC } from "./times.js";

const MINUTES = 10;
const GAP = 15; // seconds without a sample that break a line
const EDGE = { left: 38, right: 6, top: 8, bottom: 18 };

function element(name, attributes, text) {
	const made = document.createElementNS("http://www.w3.org/2000/svg", name);
	for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
	if (text !== undefined) made.textContent = text;
	return made;
}

// The next of 1, 2, 5, 10, 20, ... that is not below the value, so that the axis has round numbers.
function roundUp(value) {
	const power = 10 ** Math.floor(Math.log10(value));
	return [1, 2, 5, 10].find((step) => step * power >= value) * power;
}

const format = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const timeZone = IN_UTC ? "UTC" : undefined;
const clock = new Intl.DateTimeFormat("en-GB", { timeZone, hour: "2-digit", minute: "2-digit" });
const precise = new Intl.DateTimeFormat("en-GB", { timeZone, hour: "2-digit", minute: "2-digit", second: "2-digit" });

export class Chart {
	// `value` takes a queue's part of a sample and returns the number to draw.
	constructor(figure, queues, value) {
		this.queues = queues;
		this.value = value;
		this.samples = [];
		this.svg = element("svg", { role: "img", "aria-label": figure.querySelector("figcaption").textContent });
		this.readout = document.createElement("div");
		this.readout.className = "readout";
		this.readout.hidden = true;
		figure.append(this.svg, this.readout);
		this.svg.addEventListener("pointermove", (event) => this.point(event));
		this.svg.addEventListener("pointerleave", () => this.point(null));
		new ResizeObserver(() => this.draw(this.samples)).observe(this.svg);
	}

	draw(samples) {
		this.samples = samples;
		const { width, height } = this.svg.getBoundingClientRect();
		if (width === 0) return;
		const until = samples.length > 0 ? samples.at(-1).at : Date.now() / 1000;
		const from = until - MINUTES * 60;
		const highest = Math.max(0, ...samples.flatMap((sample) => this.queues.map((name) => this.at(sample, name) ?? 0)));
		const top = roundUp(Math.max(highest, 1));
		this.x = (at) => EDGE.left + ((at - from) / (until - from)) * (width - EDGE.left - EDGE.right);
		const y = (value) => height - EDGE.bottom - (value / top) * (height - EDGE.top - EDGE.bottom);

		const parts = [];
		for (const value of [0, top / 2, top]) {
			parts.push(element("line", { class: "grid", x1: EDGE.left, x2: width - EDGE.right, y1: y(value), y2: y(value) }));
			parts.push(element("text", { x: EDGE.left - 5, y: y(value) + 4, "text-anchor": "end" }, format.format(value)));
		}
		for (let at = Math.ceil(from / 120) * 120; at < until; at += 120) {
			if (this.x(at) < EDGE.left + 12 || this.x(at) > width - EDGE.right - 12) continue;
			parts.push(element("text", { x: this.x(at), y: height - 3, "text-anchor": "middle" }, clock.format(at * 1000)));
		}
		this.queues.forEach((name, number) => {
			let path = "";
			let last = null;
			for (const sample of samples) {
				const value = this.at(sample, name);
				if (sample.at < from || value === null) continue;
				path += `${last !== null && sample.at - last < GAP ? "L" : "M"}${this.x(sample.at).toFixed(1)} ${y(value).toFixed(1)}`;
				last = sample.at;
			}
			parts.push(element("path", { class: `line-${number}`, d: path }));
		});
		this.cursor = element("line", { class: "cursor", y1: EDGE.top, y2: height - EDGE.bottom, visibility: "hidden" });
		this.svg.replaceChildren(...parts, this.cursor);
		this.show();
	}

	at(sample, name) {
		return sample.queues[name] ? this.value(sample.queues[name]) : null;
	}

	point(event) {
		this.pointed = event && event.clientX - this.svg.getBoundingClientRect().left;
		this.show();
	}

	// Show the values of the sample nearest to the pointer.
	show() {
		const far = (sample) => Math.abs(this.x(sample.at) - this.pointed);
		const nearest =
			this.pointed == null ? null : this.samples.reduce((best, next) => (best && far(best) < far(next) ? best : next), null);
		this.readout.hidden = !nearest;
		this.cursor?.setAttribute("visibility", nearest ? "visible" : "hidden");
		if (!nearest) return;
		const x = this.x(nearest.at);
		this.cursor.setAttribute("x1", x);
		this.cursor.setAttribute("x2", x);
		const lines = this.queues.map((name) => [name, this.at(nearest, name)]);
		this.readout.replaceChildren(
			precise.format(nearest.at * 1000),
			...lines.map(([name, value]) => {
				const line = document.createElement("div");
				line.append(name, document.createElement("b"));
				line.lastChild.textContent = value === null ? "–" : format.format(value);
				return line;
			}),
		);
		const half = this.svg.getBoundingClientRect().width / 2;
		this.readout.style.left = x > half ? "" : `${x + 10}px`;
		this.readout.style.right = x > half ? `${2 * half - x + 10}px` : "";
	}
}
