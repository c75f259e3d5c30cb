"use strict";
// Browse test images: pick one, a method, a rule and what to show. Native controls do the keyboard.
(() => {
  const data = JSON.parse(document.getElementById("browser-data").textContent);
  const $ = (id) => document.getElementById(id);
  const REASONS = [
    "drawn at random", "chosen because methods disagree", "chosen because often wrong",
  ];
  const PER_UNIT = 10000; // influence and attention are whole numbers of this part
  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const shorts = (text) => text && new Int16Array(bytes(text).buffer);
  const number = (value, digits = 2) => value.toFixed(digits).replace("-", "\u2212");
  const make = (tag, text = "", className = "") => {
    const element = document.createElement(tag);
    element.textContent = text;
    element.className = className;
    return element;
  };
  const radio = (group, value, ...content) => {
    const label = make("label");
    const input = make("input");
    Object.assign(input, { type: "radio", name: group, value: String(value) });
    label.append(input, ...content);
    return label;
  };
  const chosen = (group) => document.querySelector(`input[name="${group}"]:checked`);
  const canvasOf = (px) => Object.assign(make("canvas"), { width: px, height: px });

  let set; // the dataset
  let rule = "mean_probability"; // kept while methods change, where they have it

  const open = (i) => {
    set = data.datasets[i];
    if (set.ready) return;
    set.ready = true;
    set.grids = {};
    for (const [name, boxes] of Object.entries(set.boxes)) set.grids[name] = layers.gridOf(boxes);
    set.methods.forEach((method) => {
      method.votes = shorts(method.votes);
      method.evidence = method.evidence && bytes(method.evidence);
      if (method.map) method.map.values = bytes(method.map.values);
      method.rules.forEach((own) => {
        own.influence = shorts(own.influence);
        own.attention = shorts(own.attention);
      });
    });
    set.images.forEach((image) => {
      image.drawn = new Image();
      image.drawn.src = image.picture;
    });
  };

  const ruleOf = (method) => method.rules.find((own) => own.name === rule) || method.rules[0];
  const mark = (own, i) => (own.decided[i] === set.images[i].label ? "✓" : "✗");
  const state = () => {
    const i = Number(chosen("browse-image").value);
    return { i, image: set.images[i], view: chosen("browse-view").value };
  };
  // the values of the patches of image i, of which there are `width` each
  const rows = (values, i, n, width = 1) => values.subarray(i * n * width, (i + 1) * n * width);

  const classOf = (own, { i, image }) => {
    const value = $("browse-class").value;
    if (value === "decided") return own.decided[i];
    return value === "true" ? image.label : Number(value);
  };

  const none = (text) => ({ kind: "none", text });
  // what is known of an image by a method: how to draw it, and what it is
  const seen = (method, own, now) => {
    const { i, image, view } = now;
    if (view === "image") return { kind: "image", text: "The image as the methods were given it." };
    if (!method.patches) {
      if (!method.map) return none("The network has no patches; no Grad-CAM of it was made here.");
      const { rows: high, cols } = method.map;
      const name = set.classes[method.map.classes[i]];
      const values = rows(method.map.values, i, high * cols);
      const text = `Grad-CAM for “${name}”, relative to its largest value.`;
      return { kind: "map", values, high, cols, text };
    }
    const n = set.boxes[method.patches].length;
    if (view === "decided") {
      const weights = own.influence || own.attention;
      if (!weights) return none("It was not worked out which patches decided.");
      const name = set.classes[own.decided[i]];
      const text = own.influence
        ? `What “${name}” loses under ${own.name} when a patch is left out.`
        : `Attention that ${own.name} pays to each patch, against the average.`;
      const average = own.influence ? 0 : PER_UNIT;
      const values = Int32Array.from(rows(weights, i, n), (value) => value - average);
      return { kind: "decided", values, text };
    }
    if (!method.votes) return none("These rules work on embeddings: no patch votes.");
    if (view === "votes") {
      const text = "Each square is the vote of the patch around it.";
      return { kind: "votes", values: rows(method.votes, i, n), text };
    }
    const label = classOf(own, now);
    const [width, place] = [image.shown.length, image.shown.indexOf(label)];
    const name = set.classes[label];
    if (place < 0) return none(`Evidence for “${name}” was not kept of this image.`);
    const values = rows(method.evidence, i, n, width).filter((_, j) => j % width === place);
    const text = `Probability of “${name}”, mean of the patches on a pixel.`;
    return { kind: "evidence", values, text };
  };

  const paint = (canvas, method, found, { image }) => {
    const context = canvas.getContext("2d");
    const [size, side] = [canvas.width, image.drawn.naturalWidth];
    context.imageSmoothingQuality = "high";
    context.drawImage(image.drawn, 0, 0, size, size);
    if (found.kind === "image" || found.kind === "none") return;
    image.grey = image.grey || layers.greyOf(image.drawn, side);
    if (found.kind === "map") {
      const values = layers.enlarged(found.values, found.high, found.cols, side);
      layers.heat(context, image.grey, values.map((value) => value / 255), side);
      return;
    }
    const [boxes, grid] = [set.boxes[method.patches], set.grids[method.patches]];
    if (found.kind === "evidence") {
      const values = layers.overPixels(found.values, boxes, side / set.image_px, side);
      const chance = 1 / set.classes.length;
      const above = (value) => Math.max(0, (value / 255 - chance) / (1 - chance));
      layers.heat(context, image.grey, values.map(above), side);
      return;
    }
    layers.plain(context, image.grey, side);
    layers[found.kind === "votes" ? "votes" : "influence"](
      context, boxes, grid, size / set.image_px, found.values);
  };

  const swatch = (color, text = "") => {
    const found = make("i", text, "swatch");
    found.style.background = color;
    return found;
  };
  const item = (color, text, sign = "") => {
    const found = make("li");
    found.append(swatch(color, sign), make("span", text));
    return found;
  };
  const legend = (found, own, method) => {
    if (found.kind === "votes") {
      const counts = new Map();
      found.values.forEach((label) => counts.set(label, (counts.get(label) || 0) + 1));
      const order = [...counts].sort((a, b) => b[1] - a[1]);
      return order.map(([label, n]) => {
        const text = `${set.classes[label]}: ${n} of ${found.values.length}`;
        return item(layers.colorOf(label), text, label + 1);
      });
    }
    if (found.kind === "evidence" || found.kind === "map") {
      const bar = make("li", "", "ramp");
      const chance = number(1 / set.classes.length);
      const ends = found.kind === "map" ? ["0", "largest"] : [`chance (${chance}) or less`, "1"];
      bar.append(make("span", ends[0]), make("i"), make("span", ends[1]));
      return [bar];
    }
    if (found.kind !== "decided") return [];
    if (own.attention) {
      return [item(layers.FOR, "more than average"), item(layers.AGAINST, "less"),
        item("transparent", "outlined: most")];
    }
    return [item(layers.FOR, "for the decision"), item(layers.AGAINST, "against it"),
      item("transparent", "outlined: counted most")];
  };

  // which patches decided, in words
  const why = (method, own, { i }) => {
    if (!method.patches) return "The network sees the whole image at once.";
    const [n, grid] = [set.boxes[method.patches].length, set.grids[method.patches]];
    const weights = own.influence || own.attention;
    if (n === 1) return "The image is one patch, and that decides.";
    if (!weights) {
      return method.votes ? "Images have too many patches to leave out each in turn."
        : "The rule keeps no attention to single patches.";
    }
    const values = Array.from(rows(weights, i, n), (value) => value / PER_UNIT);
    const largest = Math.max(...values);
    const at = grid.at[values.indexOf(largest)].map((place) => place + 1);
    const where = `he patch in row ${at[0]}, column ${at[1]} (outlined under “What decided”)`;
    if (own.attention) {
      return `Most attention goes to t${where}: ${number(largest, 1)} times the average.`;
    }
    const [pro, contra] = [1, -1].map((sign) => values.filter((value) => sign * value > 0).length);
    if (!pro && !contra) return "Leaving out any single patch changes nothing.";
    const name = set.classes[own.decided[i]];
    if (!pro) return `Without any one patch “${name}” would be as probable, or more so.`;
    const [before, after] = [own.probability[i], own.probability[i] - largest];
    return `${pro} of ${n} patches speak for “${name}”, ${contra} against. T${where} counts most: ` +
      `without it the probability would be ${number(after, 3)}, not ${number(before, 3)}.`;
  };

  const listRules = (method, { i, image }) => {
    $("method-name").textContent = method.label;
    const own = ruleOf(method);
    $("browse-rules").replaceChildren(...method.rules.map((other) => {
      const name = make("span", other.name === "none" ? "the network" : other.name, "name");
      const told = make("span", `${mark(other, i)} ${set.classes[other.decided[i]]}`, "told");
      told.prepend(swatch(layers.colorOf(other.decided[i])));
      const bar = make("span", "", "bar");
      bar.append(make("i"));
      bar.firstChild.style.width = `${100 * other.probability[i]}%`;
      const value = make("span", number(other.probability[i], 3), "number");
      const row = radio("browse-rule", other.name, name, told, bar, value);
      if (other.decided[i] !== image.label) {
        row.append(make("small", `${set.classes[image.label]} ${number(other.of_true[i], 3)}`));
      }
      row.firstChild.checked = other === own;
      return row;
    }));
  };

  const describe = (now) => {
    const all = set.methods.flatMap((method) => method.rules);
    const right = all.filter((own) => mark(own, now.i) === "✓").length;
    $("image-about").textContent = [
      now.image.id,
      `true class: ${set.classes[now.image.label]}`,
      REASONS[now.image.reason],
      `${right} of ${all.length} decisions are right`,
    ].join(" · ");
    $("class-choice").hidden = now.view !== "evidence";
  };

  const update = () => {
    const now = state();
    const method = set.methods[Number(chosen("browse-method").value)];
    describe(now);
    set.methods.forEach((other, j) => {
      const card = $("browse-methods").children[j];
      const own = ruleOf(other);
      paint(card.querySelector("canvas"), other, seen(other, own, now), now);
      const name = set.classes[own.decided[now.i]];
      card.querySelector(".told").textContent = `${mark(own, now.i)} ${name}`;
    });
    const own = ruleOf(method);
    const found = seen(method, own, now);
    const canvas = $("browse-canvas");
    paint(canvas, method, found, now);
    canvas.ariaLabel = `${now.image.id}: ${found.text}`;
    $("canvas-about").textContent = found.text;
    $("browse-legend").replaceChildren(...legend(found, own, method));
    $("rule-what").textContent = own.about;
    $("rule-about").textContent = why(method, own, now);
  };
  const updateAll = () => {
    const now = state();
    const select = $("browse-class");
    const old = select.value;
    select.replaceChildren(
      new Option("the class decided on", "decided"),
      new Option("the true class", "true"),
      ...now.image.shown.map((label) => new Option(set.classes[label], label)),
    );
    select.value = old;
    if (!select.value) select.value = "decided";
    listRules(set.methods[Number(chosen("browse-method").value)], now);
    const { drawn } = now.image;
    const isChosen = () => drawn === state().image.drawn;
    if (drawn.complete) update();
    else drawn.addEventListener("load", () => isChosen() && update(), { once: true });
  };

  const start = (i) => {
    open(i);
    $("browse-images").replaceChildren(...set.images.map((image, j) => {
      const picture = make("img");
      const alt = `${image.id}, ${set.classes[image.label]}`;
      Object.assign(picture, { src: image.picture, alt, title: image.id });
      return radio("browse-image", j, picture);
    }));
    $("browse-methods").replaceChildren(...set.methods.map((method, j) => {
      const name = make("span", method.label, "name");
      return radio("browse-method", j, canvasOf(144), name, make("span", "", "told"));
    }));
    // the best method whose patches vote, else the best
    const first = Math.max(0, set.methods.findIndex((method) => method.votes));
    $("browse-methods").querySelectorAll("input")[first].checked = true;
    $("browse-images").querySelector("input").checked = true;
    updateAll();
  };

  $("browse-dataset").append(...data.datasets.map((own, i) => new Option(own.name, i)));
  $("dataset-choice").hidden = data.datasets.length < 2;
  $("browse-dataset").addEventListener("change", (event) => start(Number(event.target.value)));
  for (const id of ["browse-images", "browse-methods"]) $(id).addEventListener("change", updateAll);
  $("browse-rules").addEventListener("change", (event) => {
    rule = event.target.value;
    update();
  });
  for (const input of document.querySelectorAll("input[name=browse-view], #browse-class")) {
    input.addEventListener("change", update);
  }
  $("browser").hidden = false;
  start(0);
})();
