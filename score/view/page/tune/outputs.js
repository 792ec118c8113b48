// What the page writes: settings, events, the command that does the same.

import { el, clear } from "../shared/dom.js";
import { makeButton, makeLabel, makeLine } from "./parts.js";
import { ApiError } from "./api.js";

/** Buttons for outputs, and a dialog for what they ask. */
export class Outputs {
  /**
   * @param {HTMLElement} host of the buttons.
   * @param {{api: object, asked: function(): {setting: object, text: string}, say: function(string, boolean=),
   *   onSaved: function()}} page asked gives what is shown now; say writes a line, onSaved hears of settings kept.
   */
  constructor(host, page) {
    this.page = page;
    this.save = makeButton("Save", () => this.keep(false), "primary");
    const events = makeButton("Events…", () => this.askEvents());
    const command = makeButton("Command", () => this.showCommand());
    host.append(this.save, events, command);
    this.title = el("h2", { id: "dialog-title" });
    this.body = el("div", { class: "dialog-body" });
    this.dialog = el("dialog", { attributes: { "aria-labelledby": "dialog-title" } }, this.title, this.body);
    document.body.append(this.dialog);
    this.formats = [];
  }

  /** Take what the server says of outputs. */
  setState({ output, formats }) {
    this.output = output;
    this.formats = formats;
    this.save.title = `write these settings into ${output}`;
  }

  /** Write the settings. */
  async keep(overwrite) {
    try {
      const { path } = await this.page.api.post("/api/save", { setting: this.page.asked().setting, overwrite });
      this.dialog.close();
      this.page.say(`The settings are in ${path}.`);
      this.page.onSaved();
    } catch (error) {
      if (error instanceof ApiError && error.answer?.exists) this.askAgain(error.message, () => this.keep(true));
      else this.page.say(error.message, true);
    }
  }

  open(title, ...nodes) {
    this.title.textContent = title;
    clear(this.body);
    this.body.append(...nodes);
    if (!this.dialog.open) this.dialog.showModal();
  }

  row(...buttons) {
    const close = makeButton("Close", () => this.dialog.close());
    return el("div", { class: "dialog-buttons" }, ...buttons, close);
  }

  askAgain(text, again) {
    const yes = makeButton("Overwrite it", again, "primary");
    this.open("There is a file already", el("p", { text }), this.row(yes));
  }

  askEvents() {
    const name = el("input", { id: "events-name", attributes: { type: "text", value: "events", autocomplete: "off" } });
    const options = this.formats.map((each) =>
      el("option", { text: `${each.name} ${each.ending}`, attributes: { value: each.name } }),
    );
    const format = el("select", { id: "events-format" }, ...options);
    const said = makeLine();
    const ending = () => this.formats.find((each) => each.name === format.value)?.ending ?? "";
    const fit = () => {
      const stem = name.value.replace(/\.[A-Za-z]+$/, "");
      name.value = stem + ending();
    };
    format.addEventListener("change", fit);
    fit();
    const write = async (overwrite) => {
      const body = { ...this.page.asked(), name: name.value.trim(), format: format.value, overwrite };
      try {
        const { written, events } = await this.page.api.post("/api/events", body);
        const more = written.length > 1 ? ` and ${written.length - 1} more files` : "";
        said.textContent = `${events} events are in ${written[0] ?? body.name}${more}.`;
        this.page.say(said.textContent);
        button.textContent = "Write";
        button.onclick = () => write(false);
      } catch (error) {
        said.textContent = error.message;
        if (!(error instanceof ApiError && error.answer?.exists)) return;
        button.textContent = "Overwrite it";
        button.onclick = () => write(true);
      }
    };
    const button = makeButton("Write", null, "primary");
    button.onclick = () => write(false);
    name.addEventListener("input", () => {
      button.textContent = "Write";
      button.onclick = () => write(false);
    });
    const fields = el(
      "div",
      { class: "fields" },
      makeLabel("Format", "events-format"),
      format,
      makeLabel("File", "events-name"),
      name,
    );
    this.open("Write the events of all clips", fields, said, this.row(button));
  }

  async showCommand() {
    const line = el("textarea", { id: "command-line", attributes: { readonly: "", rows: 7, spellcheck: "false" } });
    const said = makeLine();
    const copy = makeButton("Copy", null, "primary");
    copy.addEventListener("click", async () => {
      line.select();
      try {
        await navigator.clipboard.writeText(line.value);
        said.textContent = "It is on the clipboard.";
      } catch {
        said.textContent = "It is selected: copy it with Ctrl+C.";
      }
    });
    try {
      line.value = (await this.page.api.post("/api/command", this.page.asked())).line;
    } catch (error) {
      this.page.say(error.message, true);
      return;
    }
    const label = makeLabel("This line writes what the page shows, to the byte:", "command-line");
    this.open("The command", label, line, said, this.row(copy));
    copy.focus();
  }
}
