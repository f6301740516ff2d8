// `schema`: the JSON schema of experiment files, for editors.
import { Command } from "commander";
import { experimentJsonSchema } from "../../jobs/experimentSchema.ts";

export function schemaCommand(): Command {
  return new Command("schema")
    .summary("print the JSON schema of experiment files")
    .option("--json", "what it prints in any case")
    .action(() => console.log(JSON.stringify(experimentJsonSchema(), null, 2)));
}
