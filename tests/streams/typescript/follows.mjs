// Prints the id of each slate of a user as it comes.
const { Rillet } = await import(`${process.env.BUILT}/index.js`);

for await (const slate of new Rillet(process.env.URL, { token: process.env.TOKEN }).slates(process.argv[2]))
  console.log(slate.slate_id || "cold");
