// Says on the front page whether the stack is well. Without this file the page has a link to the same answer.
const place = document.getElementById("well");

async function look() {
	let well = false;
	let text = "The application does not answer. Perhaps it is being restarted: docker ps shows it.";
	try {
		const answer = await fetch("flask/healthz/background", { headers: { Accept: "application/json" } });
		const parts = await answer.json();
		if ("workers" in parts) {
			well = answer.ok;
			text = well ? `All is well. RabbitMQ and the ledger answer. Workers: ${parts.workers}.` : troubles(parts);
		}
	} catch {
		// The text says it already.
	}
	place.dataset.well = well;
	if (place.textContent !== text) place.textContent = text;
}

// The exact reasons are in the answer; here stands what they mean.
function troubles({ rabbitmq, ledger, workers }) {
	if (ledger !== "ok") return "Not all is well. The ledger does not answer, and no job is accepted.";
	const found = ["Not all is well."];
	if (rabbitmq !== "ok") found.push("RabbitMQ does not answer.");
	if (workers === 0) found.push("No worker is there.");
	return `${found.join(" ")} Jobs are accepted, and run later.`;
}

look();
setInterval(() => document.hidden || look(), 10_000);
