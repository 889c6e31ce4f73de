// Shows the OpenAPI document; a file of its own, so that no script stands in the page.
const place = document.getElementById("swagger-ui");
SwaggerUIBundle({ domNode: place, url: place.dataset.url, deepLinking: true });
