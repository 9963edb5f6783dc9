// What a page says about itself, once it has loaded and its diagrams are drawn.
(() => {
  const scrolls = "pre, .md-typeset__scrollwrap, .diagram-drawn, .highlight";
  const tooWide = (one) => one.getBoundingClientRect().right > innerWidth + 1 && !one.closest(scrolls);
  const wide = [...document.querySelectorAll(".md-content *")].filter(tooWide);
  const isDrawn = (one) => one.getBoundingClientRect().height > 20 && !one.textContent.includes("Syntax error");
  return {
    scheme: document.body.dataset.mdColorScheme,
    wider: document.documentElement.scrollWidth - innerWidth,
    widest: wide.length ? wide[0].outerHTML.slice(0, 120) : "",
    images: [...document.images].filter((one) => one.complete && !one.naturalWidth).map((one) => one.src),
    sources: document.querySelectorAll("pre.diagram").length,
    drawn: [...document.querySelectorAll("pre.diagram + .diagram-drawn > svg")].filter(isDrawn).length,
    shown: [...document.querySelectorAll("pre.diagram")].filter((one) => one.getClientRects().length).length,
    plain: document.querySelectorAll("pre code.language-mermaid, pre.mermaid").length,
  };
})();
