// The live page of a gateway. It asks no one but the gateway that it came from.

import { render } from "preact";
import "uplot/dist/uPlot.min.css";
import "./style/page.css";
import { Shell } from "./shell.js";

const place = document.getElementById("page");
if (place !== null) {
  place.replaceChildren();
  render(<Shell />, place);
}
