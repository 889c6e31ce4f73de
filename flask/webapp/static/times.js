// Times and durations. All are those of the server's clock, in seconds, and all are rounded down: so the figures fit
// together.

// Times are those of the viewer's own zone, unless they want UTC.
export const IN_UTC = document.documentElement.dataset.times === "utc";
export const ZONE = IN_UTC ? { timeZone: "UTC", timeZoneName: "short" } : {};

let lag = Date.now() / 1000 - Number(document.body.dataset.now);
export const now = () => Date.now() / 1000 - lag;

// The id of an event is the server's time in milliseconds. What came fastest knows the clock best.
export function setClock(event) {
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

export function tick() {
	const moment = now();
	for (const time of document.querySelectorAll("main time")) {
		time.title ||= new Date(time.dateTime).toLocaleString(undefined, ZONE);
		const text = relative(moment - Date.parse(time.dateTime) / 1000);
		write(time, time.closest(".facts, .slots, #story") ? `${time.title}, ${text}` : text);
	}
	for (const span of document.querySelectorAll("[data-since]")) write(span, duration(moment - Number(span.dataset.since)));
}

export function write(element, text) {
	if (element.textContent !== text) element.textContent = text;
}
