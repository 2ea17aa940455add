/* The texts whose contrast with what is behind them is below 4.5:1 (WCAG 2.2, 1.4.3), for Playwright's evaluate. */
() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgb = (layers) => {
    canvas.clearRect(0, 0, 1, 1);
    for (const colour of layers) {
      canvas.fillStyle = colour;
      canvas.fillRect(0, 0, 1, 1);
    }
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const luminance = (colour) => {
    const [r, g, b] = colour
      .map((each) => each / 255)
      .map((each) => (each <= 0.03928 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) {
      const style = getComputedStyle(at);
      const tint = /^linear-gradient\((rgba?\([^)]*\))/.exec(style.backgroundImage);
      layers.unshift(style.backgroundColor, ...(tint ? [tint[1]] : []));
    }
    return ["white", ...layers];
  };
  const texts = document.querySelectorAll(
    ".name, .facts, .quiet, .badge, .chip, h1, h2, h3, dt, dd, .link, code span, [role=tab], .row-name, .tick, " +
      ".edge-label, .error, li, .comment, button, th, td",
  );
  const poor = [];
  for (const element of texts) {
    if (!element.offsetParent || !element.textContent.trim() || element.closest("[aria-hidden=true] .glyph")) continue;
    const layers = behind(element);
    const text = luminance(rgb([...layers, getComputedStyle(element).color]));
    const ground = luminance(rgb(layers));
    const ratio = (Math.max(text, ground) + 0.05) / (Math.min(text, ground) + 0.05);
    if (ratio < 4.5)
      poor.push([element.className || element.tagName, element.textContent.trim().slice(0, 30), ratio.toFixed(2)]);
  }
  return poor;
};
