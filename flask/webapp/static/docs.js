// Shows the OpenAPI document. It is a file of its own because the policy allows no script inside a page.
const place = document.getElementById("swagger-ui");
SwaggerUIBundle({ domNode: place, url: place.dataset.url, deepLinking: true });

// Swagger UI is dark by a class, the other pages by what the viewer has chosen, or else by the browser's wish.
const page = document.documentElement;
const wish = matchMedia("(prefers-color-scheme: dark)");
const follow = () => page.classList.toggle("dark-mode", page.dataset.theme === "auto" ? wish.matches : page.dataset.theme === "dark");
wish.addEventListener("change", follow);
follow();
