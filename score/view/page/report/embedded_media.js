// Videos that are in the file itself: made into URLs when they are first shown.

const MOST_EMBEDDED_KEPT = 12;

/** URLs of the media in the file, the latest ones kept. */
export class EmbeddedMedia {
  constructor() {
    this.urls = new Map();
  }

  /**
   * The URL of a file that was put in; what stands at the end of the page may still be coming.
   * @param {number} file its number
   * @returns {Promise<string>}
   */
  async url(file) {
    const known = this.urls.get(file);
    if (known) {
      this.urls.delete(file);
      this.urls.set(file, known);
      return known;
    }
    const node = await elementOf(`media-${file}`);
    if (!node) return "";
    const url = URL.createObjectURL(new Blob([bytesOf(node.textContent)], { type: node.dataset.type }));
    this.urls.set(file, url);
    if (this.urls.size > MOST_EMBEDDED_KEPT) {
      const [oldest, its] = this.urls.entries().next().value;
      this.urls.delete(oldest);
      URL.revokeObjectURL(its);
    }
    return url;
  }
}

async function elementOf(id) {
  if (!document.getElementById(id)?.nextSibling && document.readyState === "loading") {
    await new Promise((resolve) => document.addEventListener("DOMContentLoaded", resolve, { once: true }));
  }
  return document.getElementById(id);
}

function bytesOf(base64) {
  const text = atob(base64);
  const found = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) found[at] = text.charCodeAt(at);
  return found;
}
