// Base64 of the page's data as bytes and numbers.

function bytesOf(base64) {
  const text = atob(base64), bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

const floatsOf = base64 => new Float32Array(bytesOf(base64).buffer);
