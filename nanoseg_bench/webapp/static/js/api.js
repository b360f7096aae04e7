// Calls of the server. Each answers with JSON, or throws an ApiError whose message is a sentence for a person.

import { t } from "./language.js";

const BASE = "api/v1/";
const TOKEN = document.querySelector('meta[name="csrf-token"]').content;

/** What the server refused, and why. */
class ApiError extends Error {
  constructor(message, status, field = null) {
    super(message);
    this.status = status;
    this.field = field;
  }
}

/** The answer to GET. */
export const get = (path) => call("GET", path);

/** The answer to POST of JSON. */
export const post = (path, body) => call("POST", path, body);

/** The answer to PUT of JSON. */
export const put = (path, body) => call("PUT", path, body);

/** DELETE. */
export const remove = (path) => call("DELETE", path);

/** Address of something that the browser itself fetches. */
export const address = (path) => BASE + path;

/** Upload a file, and the texts that belong to it; `progress` is told shares from 0 to 1. */
export function upload(files, progress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", BASE + "micrographs");
    request.setRequestHeader("X-CSRF-Token", TOKEN);
    request.responseType = "json";
    request.upload.onprogress = (event) => event.lengthComputable && progress(event.loaded / event.total);
    request.onerror = () => reject(new ApiError(t("error.offline"), 0));
    request.onload = () => (request.status < 400 ? resolve(request.response) : reject(asError(request.response, request.status)));
    const form = new FormData();
    for (const { file, name } of files) form.append("files", file, name);
    request.send(form);
  });
}

/** A file that the server makes, saved as a download; its name. */
export async function download(path, body) {
  const response = await send("POST", path, body);
  const name = fileName(response.headers.get("Content-Disposition")) || "download";
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await response.blob());
  link.download = name;
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  return name;
}

async function call(method, path, body) {
  const response = await send(method, path, body);
  return response.status === 204 ? null : response.json();
}

async function send(method, path, body) {
  const headers = { Accept: "application/json" };
  if (method !== "GET") headers["X-CSRF-Token"] = TOKEN;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(BASE + path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch {
    throw new ApiError(t("error.offline"), 0);
  }
  if (!response.ok) throw asError(await response.json().catch(() => null), response.status);
  return response;
}

function asError(answer, status) {
  return new ApiError(answer?.error || t("error.status", { status }), status, answer?.field ?? null);
}

function fileName(disposition) {
  if (!disposition) return null;
  const encoded = /filename\*=UTF-8''([^;]+)/i.exec(disposition);
  if (encoded) return decodeURIComponent(encoded[1]);
  return /filename="?([^";]+)"?/i.exec(disposition)?.[1] ?? null;
}
