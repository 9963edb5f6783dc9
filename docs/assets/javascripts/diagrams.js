// Draws every diagram of the page. The library comes from this site, and only to pages that have a diagram;
// without JavaScript, or when a diagram cannot be drawn, its source stays to be read.
(() => {
  "use strict";
  const library = new URL("mermaid.min.js", document.currentScript.src).href;

  const load = () =>
    new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = library;
      script.onload = resolve;
      script.onerror = () => reject(new Error(`cannot load ${library}`));
      document.head.append(script);
    });

  const draw = async (sources) => {
    const dark = document.body.dataset.mdColorScheme === "slate";
    window.mermaid.initialize({
      startOnLoad: false,
      securityLevel: "strict",
      suppressErrorRendering: true,
      theme: dark ? "dark" : "default",
      fontFamily: getComputedStyle(document.body).fontFamily,
      sequence: { wrap: true, wrapPadding: 22, actorMargin: 150 },
    });
    for (const [number, source] of sources.entries()) {
      try {
        const { svg } = await window.mermaid.render(`diagram-${number}`, source.textContent);
        let drawn = source.nextElementSibling;
        if (!drawn?.classList.contains("diagram-drawn")) {
          drawn = document.createElement("div");
          drawn.className = "diagram-drawn";
          source.after(drawn);
        }
        drawn.innerHTML = svg;
        const picture = drawn.firstElementChild; // scrolls rather than shrink until nobody can read it
        picture.style.minWidth = `${0.6 * Number.parseFloat(picture.style.maxWidth)}px`;
        source.hidden = true;
      } catch (error) {
        source.hidden = false;
        console.error("a diagram cannot be drawn:", error);
      }
    }
    document.documentElement.dataset.diagrams = dark ? "dark" : "light";
  };

  const start = async () => {
    const sources = [...document.querySelectorAll("pre.diagram")];
    if (sources.length === 0) return;
    await load();
    let last = draw(sources);
    new MutationObserver(() => {
      last = last.then(() => draw(sources));
    }).observe(document.body, { attributeFilter: ["data-md-color-scheme"] });
  };

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
