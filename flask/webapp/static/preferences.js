// What the viewer wants to see, and how. The server keeps it in cookies, and says it in the first tag of each page.
import { follow } from "./stream.js";

// Change at once what was chosen in the menu "View". Times stand in too many places: they need a new page.
document.addEventListener("change", (event) => {
	if (event.target.closest("#view")) event.target.form.requestSubmit();
});

export function adopt(page) {
	const before = document.documentElement.dataset;
	const wanted = page.documentElement.dataset;
	if (before.times !== wanted.times) location.reload();
	before.theme = wanted.theme;
	before.updates = wanted.updates;
	follow();
}
