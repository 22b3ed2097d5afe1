"use strict";
// Both pages: each [data-chat] shows new lines each second, and [data-conversations] the list of open ones.
// Texts of people become nodes by textContent, never HTML.

const EVERY = 1000; // milliseconds

function element(name, className, text) {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
}

// Ask for JSON again and again, the next time when the answer is there; less often in a hidden tab.
async function poll(url, show) {
  try {
    const answer = await fetch(url(), { headers: { Accept: "application/json" } });
    if (answer.ok && !answer.redirected) show(await answer.json());
  } catch {
    // The server is away: it is asked again.
  }
  setTimeout(poll, document.hidden ? 5 * EVERY : EVERY, url, show);
}

function follow(chat) {
  const list = chat.querySelector("ol");
  const form = chat.querySelector("form");
  const empty = chat.querySelector(".empty");
  let last = 0;
  let sending = Promise.resolve(); // messages leave in the order in which they were written

  function show(line) {
    const isMine = line.is_answer === (chat.dataset.mine === "desk");
    const item = find(line.id) ?? add(line.text, isMine);
    item.dataset.id = line.id;
    item.classList.remove("pending");
    list.append(item); // in the order of the server
    const time = element("time", "", new Date(line.at).toLocaleTimeString([], { timeStyle: "short" }));
    time.dateTime = line.at;
    item.querySelector("footer").replaceChildren(isMine ? "" : `${line.author} · `, time);
    last = Math.max(last, line.number);
  }

  function find(id) {
    return list.querySelector(`[data-id="${CSS.escape(id)}"]`);
  }

  function add(text, isMine) {
    const item = element("li", isMine ? "mine" : "theirs", "");
    item.append(element("p", "", text), element("footer", "", "sending …"));
    list.append(item);
    empty.hidden = true;
    list.scrollTop = list.scrollHeight;
    return item;
  }

  function write() {
    const data = new FormData(form);
    const item = add(data.get("text").trim(), true);
    item.classList.add("pending");
    form.elements.text.value = "";
    sending = sending.then(() => send(data, item));
  }

  async function send(data, item) {
    const alert = form.querySelector("[role=alert]");
    alert.hidden = true;
    try {
      const answer = await fetch(chat.dataset.chat, { method: "POST", body: data });
      if (!answer.ok) throw new Error(answer.statusText);
      const { id } = await answer.json();
      if (find(id)) item.remove(); // it is shown already
      else item.dataset.id = id;
    } catch {
      item.remove();
      form.elements.text.value = data.get("text");
      alert.textContent = "The message was not sent. Please try again.";
      alert.hidden = false;
    }
  }

  form?.addEventListener("submit", (event) => {
    event.preventDefault();
    if (form.elements.text.value.trim()) write();
  });
  form?.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      form.requestSubmit();
    }
  });
  poll(
    () => `${chat.dataset.chat}?after=${last}`,
    ({ lines }) => {
      lines.forEach(show);
      list.append(...list.querySelectorAll(".pending"));
    },
  );
}

function list(conversations) {
  const { chosen } = conversations.dataset;
  poll(
    () => conversations.dataset.conversations,
    (found) => {
      conversations.nextElementSibling.hidden = found.conversations.length > 0;
      conversations.replaceChildren(
        ...found.conversations.map((each) => {
          const item = document.createElement("li");
          const link = element("a", each.is_answered ? "" : "waits", "");
          link.href = `/desk/${each.number}/`;
          if (String(each.number) === chosen) link.setAttribute("aria-current", "page");
          link.append(
            element("strong", "", each.name),
            element("span", "agent", each.agent),
            element("span", "text", each.text),
          );
          item.append(link);
          return item;
        }),
      );
    },
  );
}

document.querySelectorAll("[data-chat]").forEach(follow);
document.querySelectorAll("[data-conversations]").forEach(list);
