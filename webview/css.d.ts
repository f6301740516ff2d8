// A CSS file imported as text (esbuild's text loader).
declare module "*.css" {
  const text: string;
  // biome-ignore lint/style/noDefaultExport: that is how the loader gives it.
  export default text;
}
