// Keys for people who look at many jobs. "?" shows them: the list is in layout.html.

const rows = () => [...document.querySelectorAll("#jobs tbody th a")];

// Go to the next row of the list, or to the one before, and begin at an end of it.
function walk(step) {
	const links = rows();
	const here = links.indexOf(document.activeElement?.closest("tr")?.querySelector("th a"));
	const next = here < 0 ? (step > 0 ? 0 : links.length - 1) : here + step;
	links[next]?.focus();
}

const rowOfFocus = () => document.activeElement?.closest("#jobs tr");

// Press a button for the rows that are selected, or of the row that has the focus, or of the job whose page this is.
function press(name) {
	const many = document.querySelector(`#choose:not([data-picked="0"]) [data-action=${name.toLowerCase()}]`);
	if (many) return many.click();
	const place = rowOfFocus() ?? document.getElementById("job");
	[...(place?.querySelectorAll(".actions button") ?? [])].find((button) => button.textContent === name)?.click();
}

function openForm() {
	const form = document.getElementById("submit");
	if (form?.tagName !== "DETAILS") return;
	form.open = true;
	form.querySelector("form :is(input, select, textarea)")?.focus();
}

const KEYS = {
	"/": () => document.querySelector("#filters [name=q]")?.focus(),
	n: openForm,
	j: () => walk(1),
	k: () => walk(-1),
	x: () => rowOfFocus()?.querySelector("[name=task_id]").click(),
	r: () => press("Retry"),
	c: () => press("Cancel"),
	"?": () => document.getElementById("keys").showModal(),
};

document.addEventListener("keydown", (event) => {
	const action = KEYS[event.key];
	if (!action || event.ctrlKey || event.metaKey || event.altKey) return;
	if (event.target.closest("input:not([type=checkbox]), select, textarea, dialog")) return;
	event.preventDefault();
	action();
});
