(() => {
  "use strict";
  const EVERY = 5000; // milliseconds from one answer to the next question
  const PATIENCE = 10000; // milliseconds after which a question has no answer
  const live = document.getElementById("live");
  const away = document.getElementById("away");
  const own = new URL(location.href);
  own.searchParams.set("fragment", "1");
  own.hash = "";
  let answered = performance.now(); // never set back, as the client's clock may be
  let planned = 0;
  let isAsking = false;

  // As `Card.countdown` writes it.
  function countdown(seconds) {
    const left = Math.ceil(seconds);
    const two = (number) => String(number).padStart(2, "0");
    if (left < 60) return `${left} s`;
    if (left < 3600) return `${Math.floor(left / 60)} min ${two(left % 60)} s`;
    return `${Math.floor(left / 3600)} h ${two(Math.floor((left % 3600) / 60))} min`;
  }

  function countDown() {
    const passed = (performance.now() - answered) / 1000;
    for (const element of live.querySelectorAll("[data-remaining]")) {
      const text = countdown(Math.max(0, element.dataset.remaining - passed));
      if (element.textContent !== text) element.textContent = text;
    }
  }

  // Soon after the first cooldown is over, where that is before the usual time.
  function pause() {
    const ends = [...live.querySelectorAll("[data-remaining]")].map((element) => 1000 * element.dataset.remaining);
    return Math.max(1000, Math.min(EVERY, ...ends.map((end) => end + 100)));
  }

  function plan(milliseconds) {
    clearTimeout(planned);
    if (!document.hidden) planned = setTimeout(ask, milliseconds);
  }

  async function ask() {
    if (isAsking) return;
    isAsking = true;
    let trouble = "does not answer";
    try {
      // A redirect leads to a login, say, and not to the page.
      const answer = await fetch(own, { cache: "no-store", redirect: "manual", signal: AbortSignal.timeout(PATIENCE) });
      const moment = performance.now();
      const holder = document.createElement("template");
      holder.innerHTML = answer.ok ? await answer.text() : "";
      const fresh = holder.content.getElementById("state");
      if (fresh === null) {
        trouble = answer.ok ? "answers with another page" : `answers ${answer.status}`;
        if (answer.type === "opaqueredirect") trouble = "sends you elsewhere, to log in perhaps";
        throw new Error(trouble);
      }
      put(fresh, moment);
    } catch {
      const { at } = live.firstElementChild.dataset;
      const text = `The server ${trouble}. What you see is of ${at} UTC.`;
      if (away.textContent !== text) away.textContent = text; // or it would be read aloud each time
      document.body.classList.add("is-away");
    }
    isAsking = false;
    plan(document.body.classList.contains("is-away") ? EVERY : pause());
  }

  function put(fresh, moment) {
    const opened = [...live.querySelectorAll("details[open]")].map((element) => element.id);
    const focused = live.contains(document.activeElement) ? document.activeElement.id : "";
    live.replaceChildren(fresh);
    for (const id of opened) document.getElementById(id)?.setAttribute("open", "");
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
    answered = moment;
    away.textContent = "";
    document.body.classList.remove("is-away");
    document.title = fresh.dataset.headline;
    countDown();
  }

  document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(planned) : ask()));
  addEventListener("pageshow", (event) => event.persisted && ask());
  setInterval(countDown, 250);
  plan(pause());
})();
