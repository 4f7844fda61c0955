import { KEPT } from './console-model.js';

const WIDTH = 240;
const HEIGHT = 60;

const draw = (tag, attributes) => {
  const node = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
};

const picture = (...shapes) => {
  const svg = draw('svg', { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'img' });
  svg.append(...shapes);
  return svg;
};

/** The newest at the right, where a minute has room. */
export class LineChart {
  #area = draw('path', { class: 'area' });
  #line = draw('path', { class: 'line' });
  element = picture(draw('path', { class: 'base', d: `M0 ${HEIGHT}H${WIDTH}` }), this.#area, this.#line);

  show(series, label) {
    const top = Math.max(...series, 0);
    const step = WIDTH / (KEPT - 1);
    const x = (index) => (WIDTH - (series.length - 1 - index) * step).toFixed(1);
    const y = (value) => (top > 0 ? HEIGHT - value / top * (HEIGHT - 2) : HEIGHT).toFixed(1);
    const line = series.map((value, index) => `${x(index)} ${y(value)}`).join('L');
    this.#line.setAttribute('d', line && `M${line}`);
    this.#area.setAttribute('d', line && `M${x(0)} ${HEIGHT}L${line}V${HEIGHT}Z`);
    this.element.setAttribute('aria-label', label);
  }
}

export class Bar {
  #bar = draw('rect', { class: 'bar', width: WIDTH, x: 0 });
  element = picture(this.#bar, draw('path', { class: 'base', d: `M0 ${HEIGHT}H${WIDTH}` }));

  /** `part` of the whole height. What is there at all is seen. */
  show(part, label) {
    const height = part > 0 ? Math.max(part * HEIGHT, 1) : 0;
    this.#bar.setAttribute('y', HEIGHT - height);
    this.#bar.setAttribute('height', height);
    this.element.setAttribute('aria-label', label);
  }
}
