// Other pages and filters of the list of jobs are shown in place. The address says what is shown, as without a script.
import { forget } from "./list.js";
import { busy, load, replace } from "./parts.js";

// What differs between two pages of the list
const PARTS = ["filters", "states", "all"];

// Of several clicks the last one counts.
let wanted = location.href;

async function show(address, keep) {
	if (wanted !== address || busy(() => show(address, keep))) return;
	try {
		const status = await load(address, (page) => {
			if (wanted !== address) return;
			const focused = document.activeElement;
			for (const id of PARTS) replace(document.getElementById(id), page.getElementById(id));
			forget();
			keep();
			if (!focused.isConnected && document.activeElement === document.body) focusList();
			const top = document.getElementById("states");
			if (top.getBoundingClientRect().top < 0) top.scrollIntoView();
		});
		if (status >= 400) location.assign(address);
	} catch {
		location.assign(address); // the browser says what is wrong
	}
}

// The link that had the focus is gone: there is no further page.
function focusList() {
	document.querySelector("#jobs tbody a")?.focus();
}

function go(address) {
	wanted = address;
	show(address, () => history.pushState(null, "", address));
}

document.addEventListener("click", (event) => {
	const link = event.target.closest("#states a, #filters a, .pages a");
	if (!link || !document.getElementById("list")) return;
	if (event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
	event.preventDefault();
	go(link.href);
});

document.addEventListener("submit", (event) => {
	if (event.target.id !== "filters") return;
	event.preventDefault();
	const address = new URL(event.target.action);
	for (const [name, text] of new FormData(event.target)) if (text) address.searchParams.append(name, text);
	go(address.href);
});

addEventListener("popstate", () => {
	if (!document.getElementById("list") || wanted === location.href) return;
	wanted = location.href;
	show(wanted, () => {});
});
