// Puts a chosen file's text into the field beside it, so that one sees what is sent.
const most = 512 * 1024; // the server takes half of it; more is surely the wrong file

for (const input of document.querySelectorAll("[data-file-for]")) {
  input.addEventListener("change", async () => {
    const [file] = input.files;
    const field = document.getElementById(input.dataset.fileFor);
    if (!file || !field || file.size > most) return;
    field.value = await file.text();
    field.dispatchEvent(new Event("input", { bubbles: true }));
    input.value = "";
  });
}
