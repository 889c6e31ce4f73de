// Makes the pages live. Without scripts they work by page loads. With them, the same pages and forms are fetched, and
// their parts are put into the page that is open:
//   data-live   a part that is kept up to date
//   data-part   a part that the answer to a form in it replaces: the same form with its errors, for instance
import { loadHistory, startCharts } from "./charts.js";
import "./copy.js";
import { prepareForms } from "./forms.js";
import "./keys.js";
import { release } from "./list.js";
import "./navigate.js";
import { tellPicked } from "./select.js";
import { follow } from "./stream.js";
import { tick } from "./times.js";

prepareForms();
tick();
tellPicked();
setInterval(() => {
	tick();
	release();
}, 1000);
const place = document.getElementById("charts");
if (place) {
	startCharts(place);
	loadHistory().catch(() => {});
}
follow();
