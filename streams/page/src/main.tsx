import "uplot/dist/uPlot.min.css";
import "./style.css";
import { render } from "preact";
import { App } from "./app";
import { start } from "./live";

start();
const page = document.getElementById("page") as HTMLElement;
page.textContent = "";
render(<App />, page);
