// Every program of docs/CLIENT.md, on a real node.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { register } from 'node:module';
import { after, before, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { LiveNode, pageFile, repositoryFile, systemPackage, until } from './client.js';

const text = readFileSync(repositoryFile('docs/CLIENT.md'), 'utf8');
const blocks = [...text.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].map(([, language, code]) => ({ language, code }));

/** A block that imports begins a program, others go on with it, and a text behind it is what it prints. */
const programs = [];
for (const { language, code } of blocks) {
  if (language === 'js' && code.startsWith('import')) programs.push({ code, prints: '' });
  else if (language === 'js') programs.at(-1).code += code;
  else if (language === 'text') programs.at(-1).prints = code;
}
const block = (language) => blocks.find((block) => block.language === language).code;

describe('docs/CLIENT.md', { skip: LiveNode.missing }, () => {
  let node;
  before(async () => { node = await LiveNode.start(); });
  after(() => node.stop());

  /** As somebody has it who followed the page: the file beside it, the node at its port, and a WebSocket. */
  const real = (code) => code.replaceAll('ws://localhost:8080', node.url)
    .replace(/from '\.\/(parley[\w-]*\.js)'/g, (_, name) => `from '${pageFile(name)}'`);
  const run = async (code) => {
    const ws = `import { createRequire } from 'node:module'; globalThis.WebSocket = createRequire('${import.meta.url}')('ws');`;
    const child = promisify(execFile)(process.execPath, [...process.execArgv, '--input-type=module', '-'], { timeout: 30_000 });
    child.child.stdin.end(`${ws}\n${real(code)}`);
    return (await child).stdout;
  };

  for (const { code, prints } of programs) {
    test(`prints ${JSON.stringify(prints)}, and a second time`, async () => {
      for (let time = 1; time <= 2; time += 1) assert.equal(await run(code), prints);
    });
  }

  test('the TypeScript program has no errors of types, and runs', async () => {
    const ts = systemPackage('typescript');
    const options = {
      strict: true, noEmit: true, target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ES2022, lib: ['lib.es2022.d.ts', 'lib.dom.d.ts'],
      moduleResolution: ts.ModuleResolutionKind.NodeJs, types: [],
    };
    // Beside the declarations, as `./parley.js` says.
    const name = new URL('docs-program.ts', pageFile('parley.js')).pathname;
    const host = ts.createCompilerHost(options);
    const { getSourceFile, fileExists } = host;
    host.getSourceFile = (file, ...more) => file === name
      ? ts.createSourceFile(file, block('ts'), options.target) : getSourceFile.call(host, file, ...more);
    host.fileExists = (file) => file === name || fileExists.call(host, file);
    const problems = ts.getPreEmitDiagnostics(ts.createProgram([name, pageFile('parley-react.d.ts').pathname], options, host));
    assert.deepEqual(problems.map(({ messageText }) => messageText), []);
    const { outputText } = ts.transpileModule(block('ts'), { compilerOptions: { ...options, noEmit: false } });
    assert.match(await run(outputText), /^TYPED\n$/);
  });

  test('the React chat shows who is here, what they say, and what waits', async () => {
    globalThis.WebSocket = systemPackage('ws');
    globalThis.IS_REACT_ACT_ENVIRONMENT = true;
    const react = JSON.stringify(pathToFileURL(systemPackage.resolve('react')).href);
    register(`data:text/javascript,${encodeURIComponent(`
      export const resolve = (name, context, next) => name === 'react' ? { url: ${react}, shortCircuit: true } : next(name, context);
    `)}`);
    const { default: React } = await import('react');
    const { act, create } = systemPackage('react-test-renderer');
    const ts = systemPackage('typescript');
    const { outputText } = ts.transpileModule(`import React from 'react';\n${real(block('jsx'))}`, {
      compilerOptions: { jsx: ts.JsxEmit.React, target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ES2022 },
    });
    const { Chat } = await import(`data:text/javascript,${encodeURIComponent(outputText)}`);

    let root;
    const shows = (words) => until(async () => {
      await act(() => new Promise((resolve) => setImmediate(resolve)));
      const all = root.root.findAll(({ type }) => ['p', 'li'].includes(type)).map((item) => textOf(item));
      return words.every((word) => all.includes(word));
    }, `${words}`);
    const textOf = (item) => typeof item === 'string' ? item : item.children.map(textOf).join('');
    await act(async () => { root = create(React.createElement(React.StrictMode, null, React.createElement(Chat, { room: 'react', name: 'Ann' }))); });
    await shows([`on ${node.name} with 1`]);

    const { Parley } = await import(pageFile('parley.js'));
    const bob = new Parley(node.url);
    const room = await bob.join('react', { profile: { name: 'Bob' } });
    await room.send({ text: 'hello' });
    await shows([`on ${node.name} with 2`, 'Bob hello']);
    await act(async () => root.root.findByType('input').props.onChange({ target: { value: 'hello Bob' } }));
    await act(async () => root.root.findByType('form').props.onSubmit({ preventDefault() {} }));
    await shows(['Ann hello Bob']);
    await until(() => room.changes.length === 2);
    await act(async () => root.unmount());
    await until(() => room.count === 1, 'the chat leaves the room once nobody shows it');
    bob.close();
  });
});
