"use strict";
// Pictures of what was seen in an image: maps over its pixels, and one square per patch.
const layers = (() => {
  // Okabe and Ito's colours, extended by Tol's, as in the figures
  const CLASSES = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#332288",
    "#882255", "#661100", "#999933"];
  const [WARM, COLD] = [[230, 97, 0], [64, 92, 214]];
  const rgb = (color, alpha = 1) => `rgba(${color.join(",")}, ${alpha})`;
  const colorOf = (label) => CLASSES[label % CLASSES.length];

  // brightness of a picture's pixels, 0 to 255
  const greyOf = (picture, side) => {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = side;
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(picture, 0, 0, side, side);
    const pixels = context.getImageData(0, 0, side, side).data;
    return Float32Array.from({ length: side * side }, (_, i) =>
      0.3 * pixels[4 * i] + 0.59 * pixels[4 * i + 1] + 0.11 * pixels[4 * i + 2]);
  };

  // the mean over the patches on a pixel of a value of each patch; null where none is
  const overPixels = (values, boxes, scale, side) => {
    const sum = new Float32Array(side * side);
    const count = new Float32Array(side * side);
    boxes.forEach((box, i) => {
      const [top, left, height, width] = box;
      const [y0, x0, y1, x1] = [top, left, top + height, left + width].map((edge) =>
        Math.round(edge * scale));
      for (let y = y0; y < y1; y += 1) {
        for (let x = x0; x < x1; x += 1) {
          sum[y * side + x] += values[i];
          count[y * side + x] += 1;
        }
      }
    });
    return sum.map((value, i) => (count[i] ? value / count[i] : 0));
  };

  // a map of few values at a picture's size, values in between drawn from their neighbours
  const enlarged = (values, rows, cols, side) => {
    const at = (i, n) => Math.min(n - 1, Math.max(0, ((i + 0.5) * n) / side - 0.5));
    return Float32Array.from({ length: side * side }, (_, i) => {
      const [y, x] = [at(Math.floor(i / side), rows), at(i % side, cols)];
      const [top, left] = [Math.floor(y), Math.floor(x)];
      const [bottom, right] = [Math.min(rows - 1, top + 1), Math.min(cols - 1, left + 1)];
      const between = (a, b, share) => a * (1 - share) + b * share;
      const row = (r) => between(values[r * cols + left], values[r * cols + right], x - left);
      return between(row(top), row(bottom), y - top);
    });
  };

  // a picture in grey under one colour, the stronger the larger the value, 0 to 1
  const heat = (context, grey, values, side) => {
    const small = document.createElement("canvas");
    small.width = small.height = side;
    const pixels = new ImageData(side, side);
    grey.forEach((light, i) => {
      const share = 0.85 * values[i];
      for (let c = 0; c < 3; c += 1) {
        pixels.data[4 * i + c] = (0.3 + 0.6 * light / 255) * 255 * (1 - share) + WARM[c] * share;
      }
      pixels.data[4 * i + 3] = 255;
    });
    small.getContext("2d").putImageData(pixels, 0, 0);
    context.drawImage(small, 0, 0, context.canvas.width, context.canvas.height);
  };

  const gaps = (places) => places.slice(1).map((place, i) => place - places[i]);
  // where patches stand in the grid, and how far apart their places are, px
  const gridOf = (boxes) => {
    const places = [0, 1].map((axis) =>
      [...new Set(boxes.map((box) => box[axis]))].sort((a, b) => a - b));
    const step = places.map((own, axis) => Math.min(boxes[0][2 + axis], ...gaps(own)));
    const at = boxes.map((box) => places.map((own, axis) => own.indexOf(box[axis])));
    return { step, at };
  };

  // one square per patch around its middle, as wide as patches are apart; nothing overlaps
  const squares = (context, boxes, grid, scale, paint) => {
    boxes.forEach(([top, left, height, width], i) => {
      const [high, wide] = grid.step.map((step) => step * scale);
      const [y, x] = [(top + height / 2) * scale, (left + width / 2) * scale];
      paint(i, x - wide / 2, y - high / 2, wide, high);
    });
  };

  const plain = (context, grey, side) => heat(context, grey, new Float32Array(side * side), side);

  const votes = (context, boxes, grid, scale, classes) => {
    const large = context.canvas.width > 200;
    squares(context, boxes, grid, scale, (i, x, y, wide, high) => {
      context.globalAlpha = 0.6;
      context.fillStyle = colorOf(classes[i]);
      context.fillRect(x + 0.5, y + 0.5, wide - 1, high - 1);
      context.globalAlpha = 1;
      const size = Math.min(22, 0.6 * high);
      if (!large || size < 7) return;
      context.font = `600 ${size}px system-ui, sans-serif`;
      context.textAlign = "center";
      context.textBaseline = "middle";
      context.lineWidth = 3;
      context.strokeStyle = "rgba(0, 0, 0, .75)";
      context.strokeText(classes[i] + 1, x + wide / 2, y + high / 2);
      context.fillStyle = "#fff";
      context.fillText(classes[i] + 1, x + wide / 2, y + high / 2);
    });
  };

  // warm: the decision rests on the patch; cold: it speaks against; the most telling is outlined
  const influence = (context, boxes, grid, scale, values) => {
    const largest = Math.max(...Array.from(values, Math.abs));
    if (!largest) return;
    squares(context, boxes, grid, scale, (i, x, y, wide, high) => {
      const color = values[i] > 0 ? WARM : COLD;
      context.fillStyle = rgb(color, (0.85 * Math.abs(values[i])) / largest);
      context.fillRect(x, y, wide, high);
    });
    const [top, left, height, width] = boxes[values.indexOf(Math.max(...values))];
    const frame = [left * scale, top * scale, width * scale, height * scale];
    for (const [color, wide] of [["#000", 4], ["#fff", 2]]) {
      context.strokeStyle = color;
      context.lineWidth = (wide * context.canvas.width) / 480 + 0.5;
      context.strokeRect(...frame);
    }
  };

  const [FOR, AGAINST] = [rgb(WARM), rgb(COLD)];
  return {
    FOR, AGAINST, colorOf, greyOf, overPixels, enlarged, heat, plain, gridOf, votes, influence,
  };
})();
