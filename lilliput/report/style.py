"""What every page carries with it: its style sheet and the read-out of its charts."""

COLOURS_LIGHT = (
    "#2a78d6",
    "#eb6834",
    "#1baf7a",
    "#b07ae0",
    "#c98500",
    "#d2447c",
    "#4a3aa7",
    "#5f7a12",
)
COLOURS_DARK = (
    "#5b9cf0",
    "#f08a5d",
    "#36c08d",
    "#c39bee",
    "#dda63a",
    "#ea6fa0",
    "#9085e9",
    "#a0bb4a",
)


def _colour_rules(colours: tuple[str, ...]) -> str:
    return "".join(f"--colour-{index}:{colour};" for index, colour in enumerate(colours))


_COLOUR_CLASSES = "".join(
    f".chart .c{index}{{stroke:var(--colour-{index})}}"
    f".chart .f{index}{{fill:var(--colour-{index})}}"
    for index in range(len(COLOURS_LIGHT))
)

STYLE = f"""
:root{{color-scheme:light dark;--page:#f6f5f2;--card:#fff;--ink:#1a1a18;--soft:#55534e;
--faint:#85827b;--line:#e4e2dc;--grid:#eceae5;--axis:#bdbab2;--accent:#2a78d6;
--inside:#fff;--gone:rgb(210 68 124/.18);--new:rgb(27 175 122/.2);
{_colour_rules(COLOURS_LIGHT)}}}
@media (prefers-color-scheme:dark){{:root{{--page:#131312;--card:#1c1c1a;--ink:#f1f0ec;
--soft:#b5b2aa;--faint:#8b8880;--line:#302f2c;--grid:#282724;--axis:#55534d;--accent:#5b9cf0;
--inside:#111;--gone:rgb(234 111 160/.26);--new:rgb(54 192 141/.26);
{_colour_rules(COLOURS_DARK)}}}}}
*{{box-sizing:border-box}}
html{{-webkit-text-size-adjust:100%}}
body{{margin:0;background:var(--page);color:var(--ink);
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}}
main,header,footer{{max-width:1120px;margin:0 auto;padding:0 20px}}
header{{padding-top:36px}}
h1{{font-size:1.75rem;line-height:1.2;letter-spacing:-.015em;margin:0;font-weight:650}}
.subtitle{{color:var(--soft);margin:.35rem 0 0}}
h2{{font-size:1.12rem;letter-spacing:-.005em;margin:40px 0 4px;font-weight:620}}
h3{{font-size:.92rem;margin:0;font-weight:600}}
h1,h2,h3,p{{overflow-wrap:anywhere}}
p{{margin:.4rem 0;max-width:70ch}}
.note,figcaption{{color:var(--soft);font-size:.875rem;max-width:75ch}}
.facts{{display:grid;grid-template-columns:repeat(auto-fill,minmax(152px,1fr));gap:1px;
margin:24px 0 0;padding:0;background:var(--card);border:1px solid var(--line);
border-radius:12px;overflow:hidden}}
.facts div{{background:var(--card);padding:12px 16px;box-shadow:0 0 0 1px var(--line)}}
.facts dt{{color:var(--soft);font-size:.8rem;line-height:1.3}}
.facts dd{{margin:2px 0 0;font-size:1.16rem;line-height:1.3;font-weight:600;
letter-spacing:-.01em;overflow-wrap:anywhere}}
.grid{{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,440px),1fr));gap:16px;
margin-top:12px}}
figure,.card{{margin:12px 0 0;background:var(--card);border:1px solid var(--line);
border-radius:12px;padding:14px 16px;min-width:0}}
.grid>figure,.grid>.card{{margin:0}}
.grid>figure:only-child{{max-width:600px}}
figcaption{{margin-top:4px}}
.chart{{display:block;width:100%;height:auto;overflow:visible;touch-action:pan-y}}
.chart text{{font:12px system-ui,-apple-system,"Segoe UI",Roboto,Arial,sans-serif;
fill:var(--soft)}}
.chart .title{{font-size:14px;font-weight:600;fill:var(--ink)}}
.chart .value{{fill:var(--ink);font-weight:600}}
.chart .inside{{fill:var(--inside);font-weight:600}}
.chart .gridline{{stroke:var(--grid)}}
.chart .axis,.chart .rule{{stroke:var(--axis)}}
.chart .ring{{stroke:var(--card)}}
.chart .tick{{font-variant-numeric:tabular-nums}}
{_COLOUR_CLASSES}
.readout{{position:fixed;z-index:9;pointer-events:none;background:var(--card);color:var(--ink);
border:1px solid var(--line);border-radius:8px;padding:6px 10px;font-size:.8rem;line-height:1.45;
box-shadow:0 4px 16px rgb(0 0 0/.16);font-variant-numeric:tabular-nums;white-space:nowrap}}
.readout b{{font-weight:600}}
.readout i{{display:inline-block;width:.7em;height:.7em;border-radius:50%;margin-right:.5em}}
.scroll{{overflow-x:auto}}
table{{border-collapse:collapse;font-size:.875rem;min-width:min(100%,26rem)}}
caption{{text-align:left;color:var(--soft);padding-bottom:6px}}
th,td{{text-align:left;padding:5px 14px 5px 0;border-bottom:1px solid var(--line);
vertical-align:top;overflow-wrap:anywhere}}
th{{color:var(--soft);font-weight:550}}
th[scope=col]{{overflow-wrap:normal}}
tr:last-child>*{{border-bottom:0}}
.number{{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}}
.pairs{{width:100%}}th[scope=row]{{width:11rem;font-weight:450}}
details{{margin-top:6px;font-size:.875rem}}
summary{{cursor:pointer;color:var(--soft);width:max-content;max-width:100%}}
summary:hover{{color:var(--ink)}}
details[open]>summary{{margin-bottom:6px}}
.sample+.sample{{border-top:1px solid var(--line);margin-top:14px;padding-top:14px}}
.sample h3{{color:var(--soft);font-weight:550}}
.sample p{{font-family:Charter,"Iowan Old Style",Georgia,"Times New Roman",serif;
font-size:1.02rem;line-height:1.6;white-space:pre-wrap;overflow-wrap:anywhere;unicode-bidi:isolate;
margin:.25rem 0 0}}
del{{background:var(--gone);border-radius:3px}}
ins{{background:var(--new);border-radius:3px;text-decoration:none}}
.sample .prompt{{color:var(--accent)}}
footer{{color:var(--faint);font-size:.8rem;padding-top:44px;padding-bottom:28px}}
:focus-visible{{outline:2px solid var(--accent);outline-offset:2px}}
@media (max-width:640px){{.chart text{{font-size:15px}}.chart .title{{font-size:17px}}
main,header,footer{{padding-left:14px;padding-right:14px}}figure,.card{{padding:12px}}
header{{padding-top:22px}}.facts{{grid-template-columns:repeat(auto-fill,minmax(128px,1fr))}}}}
@media print{{body{{background:#fff}}figure,.card{{break-inside:avoid}}}}
"""

# Reads the points back from the paths, so that a chart carries its data once. The coordinates
# have two decimals, which is finer than the four digits shown.
SCRIPT = """
(() => {
  const box = document.createElement('div');
  box.className = 'readout';
  box.hidden = true;
  document.body.append(box);
  const shown = value => Number(value.toPrecision(4)).toLocaleString('en');
  for (const svg of document.querySelectorAll('svg.chart[data-x]')) {
    // The element's title would pop up over the read-out; its text stays for screen readers.
    const title = svg.querySelector('title');
    if (title) { svg.setAttribute('aria-label', title.textContent); title.remove(); }
    const axis = name => {
      const [low, high, start, end, log] = svg.dataset[name].split(' ').map(Number);
      return place => {
        const share = (place - start) / (end - start);
        return log ? low * (high / low) ** share : low + share * (high - low);
      };
    };
    const x = axis('x'), y = axis('y');
    const lines = [...svg.querySelectorAll('path.line')].map(path => ({
      path,
      name: path.dataset.name,
      points: (path.getAttribute('d').match(/-?[\\d.]+,-?[\\d.]+/g) || [])
        .map(pair => pair.split(',').map(Number)),
    })).filter(line => line.points.length);
    if (!lines.length) continue;
    const make = (tag, name) => {
      const made = document.createElementNS('http://www.w3.org/2000/svg', tag);
      made.setAttribute('class', name);
      made.style.display = 'none';
      svg.append(made);
      return made;
    };
    const rule = make('line', 'rule');
    const dots = lines.map(line => {
      const dot = make('circle', 'ring');
      dot.setAttribute('r', 4);
      dot.style.fill = getComputedStyle(line.path).stroke;
      return dot;
    });
    const [, , top, bottom] = svg.dataset.y.split(' ').map(Number);
    const hide = () => {
      box.hidden = true;
      for (const mark of [rule, ...dots]) mark.style.display = 'none';
    };
    svg.addEventListener('pointerleave', hide);
    svg.addEventListener('pointermove', event => {
      const at = new DOMPoint(event.clientX, event.clientY)
        .matrixTransform(svg.getScreenCTM().inverse());
      const near = lines.map(line => line.points.reduce(
        (best, point) => Math.abs(point[0] - at.x) < Math.abs(best[0] - at.x) ? point : best));
      const column = near.reduce(
        (best, point) => Math.abs(point[0] - at.x) < Math.abs(best[0] - at.x) ? point : best)[0];
      box.replaceChildren();
      const head = document.createElement('div');
      head.textContent = svg.dataset.label + ' ' + shown(x(column));
      box.append(head);
      lines.forEach((line, index) => {
        const point = near[index], far = Math.abs(point[0] - column) > 12;
        dots[index].style.display = far ? 'none' : '';
        if (far) return;
        dots[index].setAttribute('cx', point[0]);
        dots[index].setAttribute('cy', point[1]);
        const row = document.createElement('div');
        const swatch = document.createElement('i');
        swatch.style.background = getComputedStyle(line.path).stroke;
        const value = document.createElement('b');
        value.textContent = shown(y(point[1]));
        const away = Math.abs(point[0] - column) > 1 ? ' (at ' + shown(x(point[0])) + ')' : '';
        row.append(swatch, value, ' ' + line.name + away);
        box.append(row);
      });
      rule.style.display = '';
      for (const [name, value] of [['x1', column], ['x2', column], ['y1', top], ['y2', bottom]])
        rule.setAttribute(name, value);
      box.hidden = false;
      const { width, height } = box.getBoundingClientRect();
      const left = event.clientX + 16 + width > innerWidth ? event.clientX - 16 - width
        : event.clientX + 16;
      box.style.left = Math.max(4, left) + 'px';
      box.style.top = Math.max(4, event.clientY - height - 12) + 'px';
    });
  }
})();
"""
