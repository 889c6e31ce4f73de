// A chart of the last hour or day, in SVG: one area for each queue, on top of each other, with axes and a crosshair.
import { IN_UTC } from "./times.js";

const EDGE = { left: 38, right: 6, top: 8, bottom: 18 };
const TICKS = 6; // parts of the time axis

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
const clock = new Intl.DateTimeFormat("en-GB", { timeZone: IN_UTC ? "UTC" : undefined, hour: "2-digit", minute: "2-digit" });

export class Chart {
	// `lines` has the name and the number (the colour) of each queue. `value` takes a sample and the name of a line, and
	// returns the number to draw. `onPoint` is told at which time the pointer is, or null.
	constructor(figure, lines, value, onPoint) {
		this.lines = lines;
		this.value = value;
		this.samples = [];
		this.svg = element("svg", { role: "img", "aria-label": figure.querySelector("figcaption").textContent });
		this.readout = document.createElement("div");
		this.readout.className = "readout";
		this.readout.hidden = true;
		figure.append(this.svg, this.readout);
		this.svg.addEventListener("pointermove", (event) => onPoint(this.timeAt(event)));
		this.svg.addEventListener("pointerleave", () => onPoint(null));
		new ResizeObserver(() => this.draw(this.samples, this.window)).observe(this.svg);
	}

	// `window` has the seconds that are shown, and those between two samples.
	draw(samples, window) {
		this.samples = samples;
		this.window = window;
		const { width, height } = this.svg.getBoundingClientRect();
		if (width === 0 || !window) return;
		const until = samples.at(-1)?.at ?? Date.now() / 1000;
		const from = until - window.seconds;
		const top = roundUp(Math.max(1, ...samples.map((sample) => this.stacked(sample).at(-1) ?? 0)));
		this.from = from;
		this.perPixel = window.seconds / (width - EDGE.left - EDGE.right);
		const y = (value) => height - EDGE.bottom - (value / top) * (height - EDGE.top - EDGE.bottom);

		const parts = [];
		for (const value of [0, top / 2, top]) {
			parts.push(element("line", { class: "grid", x1: EDGE.left, x2: width - EDGE.right, y1: y(value), y2: y(value) }));
			parts.push(element("text", { x: EDGE.left - 5, y: y(value) + 4, "text-anchor": "end" }, format.format(value)));
		}
		const tick = window.seconds / TICKS;
		const zone = IN_UTC ? 0 : new Date().getTimezoneOffset() * 60; // full hours of the viewer's clock
		for (let at = Math.ceil((from - zone) / tick) * tick + zone; at < until; at += tick) {
			if (this.x(at) < EDGE.left + 12 || this.x(at) > width - EDGE.right - 12) continue;
			parts.push(element("text", { x: this.x(at), y: height - 3, "text-anchor": "middle" }, clock.format(at * 1000)));
		}
		const heights = samples.map((sample) => [0, ...this.stacked(sample)]);
		this.lines.forEach(({ number }, place) => {
			const point = (each, floor) => `${this.x(samples[each].at).toFixed(1)} ${y(heights[each][place + 1 - floor]).toFixed(1)}`;
			const area = (run) => `M${[...run.map((each) => point(each, 0)), ...run.toReversed().map((each) => point(each, 1))].join("L")}Z`;
			parts.push(element("path", { class: `line-${number}`, d: this.runs(from).map(area).join("") }));
		});
		this.cursor = element("line", { class: "cursor", y1: EDGE.top, y2: height - EDGE.bottom, visibility: "hidden" });
		this.svg.replaceChildren(...parts, this.cursor);
		this.show();
	}

	x(at) {
		return EDGE.left + (at - this.from) / this.perPixel;
	}

	timeAt(event) {
		return this.from + (event.clientX - this.svg.getBoundingClientRect().left - EDGE.left) * this.perPixel;
	}

	// The heights of the areas above each other.
	stacked(sample) {
		let sum = 0;
		return this.lines.map(({ name }) => (sum += this.value(sample, name)));
	}

	// The samples that are shown, by their numbers, in runs without a gap.
	runs(from) {
		const found = [];
		let last = -Infinity;
		this.samples.forEach(({ at }, each) => {
			if (at < from) return;
			if (at - last > 2.5 * this.window.step) found.push([]);
			found.at(-1).push(each);
			last = at;
		});
		return found;
	}

	// Show the values of the sample that is nearest to a time; null shows none.
	show(at = this.pointed) {
		this.pointed = at;
		const far = (sample) => Math.abs(sample.at - at);
		const nearest = at == null ? null : this.samples.reduce((best, next) => (best && far(best) < far(next) ? best : next), null);
		this.readout.hidden = !nearest;
		this.cursor?.setAttribute("visibility", nearest ? "visible" : "hidden");
		if (!nearest) return;
		const x = this.x(nearest.at);
		this.cursor.setAttribute("x1", x);
		this.cursor.setAttribute("x2", x);
		const values = this.lines.map(({ name }) => [name, this.value(nearest, name)]).reverse();
		if (values.length > 1) values.push(["all", this.stacked(nearest).at(-1)]);
		this.readout.replaceChildren(
			clock.format(nearest.at * 1000),
			...values.map(([name, value]) => {
				const line = document.createElement("div");
				line.append(name, document.createElement("b"));
				line.lastChild.textContent = format.format(value);
				return line;
			}),
		);
		const half = this.svg.getBoundingClientRect().width / 2;
		this.readout.style.left = x > half ? "" : `${x + 10}px`;
		this.readout.style.right = x > half ? `${2 * half - x + 10}px` : "";
	}
}
