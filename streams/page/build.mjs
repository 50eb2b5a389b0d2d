// Builds dist/index.html: one file with script and style inside, nothing to fetch.
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { build } from "esbuild";

const bundled = await build({
  entryPoints: ["src/main.tsx"],
  bundle: true,
  minify: true,
  write: false,
  outdir: "dist",
  target: "es2022",
  format: "iife",
  legalComments: "none",
  jsx: "automatic",
  jsxImportSource: "preact",
});
const text = (ending) => bundled.outputFiles.find((file) => file.path.endsWith(ending)).text.trim();
const page = (await readFile("src/index.html", "utf8"))
  .replace("/*style*/", () => text(".css"))
  .replace("/*script*/", () => text(".js").replaceAll("</script", "<\\/script"));
await mkdir("dist", { recursive: true });
await writeFile("dist/index.html", page);
