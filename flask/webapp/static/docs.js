// Shows the OpenAPI document. It is a file of its own because the policy allows no script inside a page.
const place = document.getElementById("swagger-ui");
SwaggerUIBundle({ domNode: place, url: place.dataset.url, deepLinking: true });
