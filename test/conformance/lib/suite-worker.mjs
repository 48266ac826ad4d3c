// Runs the suite's command line again and again in one process: each message {script, args} is one run,
// answered when the suite wants to exit. Each run is a new instance of the suite's one module, so that
// nothing of a run is left for the next one; only the libraries under it stay loaded.
import { pathToFileURL } from 'node:url';

const exit = process.exit;
let runs = 0;

process.on('disconnect', () => exit(0));
process.on('message', async ({ script, args }) => {
  console.log(`\n##### ${args.join(' ')}`);
  process.argv = [process.execPath, script, ...args];
  // The suite's exit code says only that some scenario failed; its results say which.
  await new Promise((resolve, reject) => {
    process.exit = resolve;
    import(`${pathToFileURL(script)}?run=${++runs}`).catch(reject);
  });
  process.send('done');
});
