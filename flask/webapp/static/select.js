// Rows that are selected, and the question before something is done to many jobs.

const boxes = () => [...document.querySelectorAll("#jobs tbody [name=task_id]")];

// Say how many are selected, and offer what can be done with them.
export function tellPicked() {
	const form = document.getElementById("choose");
	if (!form) return;
	const picked = boxes().filter((box) => box.checked).length;
	form.dataset.picked = picked;
	const all = document.getElementById("pick-all");
	all.parentElement.hidden = false;
	all.checked = picked > 0 && picked === boxes().length;
	all.indeterminate = picked > 0 && !all.checked;
	document.getElementById("picked").textContent = picked ? `${picked} selected` : "Select all";
}

// Of two clicks the second one with Shift, all rows between them are selected.
let last = null;

document.addEventListener("click", (event) => {
	const box = event.target.closest("#jobs [name=task_id]");
	if (!box) return;
	const all = boxes();
	const [from, to] = [all.findIndex(({ value }) => value === last), all.indexOf(box)].sort((a, b) => a - b);
	if (event.shiftKey && from >= 0) for (const other of all.slice(from, to)) other.checked = box.checked;
	last = box.value;
});

document.addEventListener("change", (event) => {
	if (event.target.id === "pick-all") for (const box of boxes()) box.checked = event.target.checked;
	if (event.target.closest("#pick-all, #jobs")) tellPicked();
});

// The page that asks whether it shall be done is shown in a dialog.
export function ask(question) {
	const dialog = document.getElementById("question");
	dialog.setAttribute("aria-labelledby", "confirm-title");
	dialog.replaceChildren(question);
	dialog.showModal();
}

export function unpick() {
	for (const box of boxes()) box.checked = false;
	tellPicked();
}

document.addEventListener("click", (event) => {
	const link = event.target.closest("[data-close]");
	if (!link) return;
	const dialog = link.closest("dialog");
	if (!dialog && !link.closest("#following")) return;
	event.preventDefault();
	if (dialog) dialog.close();
	else document.getElementById("following").replaceChildren();
});
