// Buttons that copy a text of the page. The style sheet shows them only where scripts run.
const SAID = 2_000; // for so many milliseconds a button says that it has copied

document.addEventListener("click", (event) => {
	const button = event.target.closest("button[data-copies]");
	if (!button) return;
	const text = document.getElementById(button.dataset.copies).textContent;
	// Not navigator.clipboard: it is not there where a page comes by plain HTTP from another machine.
	document.addEventListener(
		"copy",
		(copying) => {
			copying.clipboardData.setData("text/plain", text);
			copying.preventDefault();
		},
		{ once: true },
	);
	const words = button.firstElementChild;
	words.textContent = document.execCommand("copy") ? "Copied" : "Not copied";
	setTimeout(() => (words.textContent = "Copy"), SAID);
});
