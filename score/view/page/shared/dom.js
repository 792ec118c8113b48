// Elements made of names and text: nothing here reads markup.

/**
 * An element.
 * @param {string} tag
 * @param {{class?: string, id?: string, text?: string, on?: Object<string, function>,
 *   attributes?: Object<string, string|number|boolean|null>, dataset?: Object<string, string>}} [props]
 *   an attribute that is null or false is left out, true is an empty one
 * @param {...(Node|string|null)} children nodes, or strings, which are text
 * @returns {HTMLElement}
 */
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  if (props.class) node.className = props.class;
  if (props.id) node.id = props.id;
  if (props.text !== undefined) node.textContent = props.text;
  for (const [name, value] of Object.entries(props.attributes ?? {})) {
    if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  for (const [name, value] of Object.entries(props.dataset ?? {})) node.dataset[name] = value;
  for (const [name, called] of Object.entries(props.on ?? {})) node.addEventListener(name, called);
  for (const child of children) if (child !== null && child !== undefined) node.append(child);
  return node;
}

/**
 * Take everything out of a node.
 * @param {Node} node
 * @returns {Node} it
 */
export function clear(node) {
  node.replaceChildren();
  return node;
}

/**
 * Change a text only where it is another one.
 * @param {Node} node
 * @param {string} text
 */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/**
 * A name in a form of `<label>` around or before its control.
 * @param {string} name what people read
 * @param {HTMLElement} control
 * @param {string} [kind] a class
 * @returns {HTMLElement}
 */
export function labelled(name, control, kind = "") {
  return el("label", { class: `labelled ${kind}`.trim() }, el("span", { text: name }), control);
}
