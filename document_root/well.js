// Says on the front page whether the stack is well; without this the page has a link that does.
const place = document.getElementById("well");

async function look() {
	let text = "The application does not answer. Is it being restarted? See: docker ps";
	let well = false;
	try {
		const answer = await fetch("flask/healthz/background", { headers: { Accept: "application/json" } });
		const parts = await answer.json();
		if ("workers" in parts) {
			well = answer.ok;
			const troubles = [];
			if (parts.rabbitmq !== "ok") troubles.push(parts.rabbitmq);
			if (parts.ledger !== "ok") troubles.push(`The ledger ${parts.ledger}`);
			if (parts.workers === 0) troubles.push("no worker is there");
			text = well
				? `All is well: RabbitMQ and the ledger answer. Workers: ${parts.workers}.`
				: `Not all is well: ${troubles.join("; ")}. Jobs are accepted all the same, and run later.`;
			if (parts.ledger !== "ok") text = `Not well: ${troubles.join("; ")}.`;
		}
	} catch {
		// Nobody answers, or somebody else: the text says so already.
	}
	place.dataset.well = well;
	if (place.textContent !== text) place.textContent = text;
}

look();
setInterval(() => document.hidden || look(), 10_000);
