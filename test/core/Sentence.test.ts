import * as Sentence from "@apipeline/core/Sentence"
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"

/** One chunk per UTF-16 unit: also cuts surrogate pairs. */
const unitByUnit = (text: string, options?: Sentence.Options): ReadonlyArray<string> => {
  const splitter = Sentence.makeSplitter(options)
  const out: Array<string> = []
  for (let i = 0; i < text.length; i++) out.push(...splitter.push(text.charAt(i)))
  return [...out, ...splitter.flush()]
}

const assertSplit = (text: string, expected: ReadonlyArray<string>, options?: Sentence.Options): void => {
  assert.deepStrictEqual(Sentence.split(text, options), expected)
  assert.deepStrictEqual(unitByUnit(text, options), expected)
  assert.strictEqual(expected.join(""), text)
}

describe("endOf", () => {
  const complete: ReadonlyArray<readonly [text: string, end: number]> = [
    ["This is a sentence.", 19],
    ["This is a sentence!", 19],
    ["This is a sentence?", 19],
    ["This is a sentence;", 19],
    ["This is a sentence...", 21],
    ["This is a sentence. This is another one", 19],
    ["This is for Mr. and Mrs. Jones.", 31],
    ["Meet the new Mr. and Mrs.", 25],
    ["U.S.A. and N.A.S.A.", 19],
    ["USA and NASA.", 13],
    ["My number is 123-456-7890.", 26],
    ["For information, call 411.", 26],
    ["My emails are foo@pipecat.ai and bar@pipecat.ai.", 48],
    ["My email is foo.bar@pipecat.ai.", 31],
    ["My email is spell(foo.bar@pipecat.ai).", 38],
    ["My email is <spell>foo.bar@pipecat.ai</spell>.", 46],
    ["The number pi is 3.14159.", 25],
    ["Valid scientific notation 1.23e4.", 33],
    ["Valid scientific notation 0.e4.", 31],
    ["It still early, it's 3:00 a.m.", 30],
    // a next character confirms
    ["こんにちは。元", 6],
    ["元気ですか？は", 6],
    ["ありがとう！次", 6],
    ["你好世界。下", 5],
    ["你好吗？我", 4],
    ["안녕하세요。다", 6],
    ["こんにちは。元気ですか？", 6],
    ["हैलो।अ", 5],
    ["مرحبا؟ك", 6],
    ["Hello world.", 12],
    ["First sentence. Second incomplete", 15],
    // ours
    ["  Hello.  ", 8],
    ["He said “Yes.”", 14],
    [".", 1]
  ]
  it.each(complete)("%j is complete at %i", (text, end) => {
    assert.strictEqual(Sentence.endOf(text), end)
  })

  it.each([
    "This is not a sentence",
    "This is not a sentence,",
    "This is not a sentence, ",
    "Ok, Mr. Smith let's ",
    "Dr. Walker, I presume ",
    "Prof. Walker, I presume ",
    "Mr. S",
    "zweitens, und 3",
    "Heute ist Dienstag, der 3",
    "America, or the U.S",
    "My emails are foo@pipecat.ai and bar@pipecat.ai",
    "The number pi is 3.14159",
    "مرحبا،",
    "你好，",
    "हैलो，",
    "Hello",
    "world",
    "The",
    "quick",
    "Hello world",
    "",
    "  "
  ])("%j is not", (text) => {
    assert.strictEqual(Sentence.endOf(text), 0)
  })

  it.each([
    ["Arabic", ["مرحبا؟", "السلام عليكم؛"]],
    ["Urdu", ["یہ اردو ہے۔"]],
    ["Chinese", ["你好。", "你好！", "吃了吗？", "安全第一；"]],
    ["Hindi", ["हैलो।", "हैलो！", "आप खाये हैं？", "सुरक्षा पहले।"]],
    ["Japanese", ["こんにちは。", "元気ですか？", "ありがとう！"]],
    ["Korean", ["안녕하세요。", "어떻게 지내세요？"]],
    ["Thai", ["สวัสดี।"]],
    ["Myanmar", ["မင်္ဂလာပါ၊", "ကျေးဇူးတင်ပါတယ်။"]],
    ["Bengali", ["নমস্কার।", "আপনি কেমন আছেন？"]],
    ["Tamil", ["வணக்கம்।", "நீங்கள் எப்படி இருக்கிறீர்கள்？"]],
    ["Armenian", ["Բարև։", "Ինչպես եք՞", "Շնորհակալություն՜"]],
    ["Amharic", ["ሰላም።", "እንዴት ነዎት፧"]],
    ["Khmer", ["សួស្តី។"]],
    ["Tibetan", ["བཀྲ་ཤིས།"]],
    ["Latin punctuation", [
      "Hola.",
      "Bonjour!",
      "Guten Tag?",
      "Привет.",
      "Γεια σας.",
      "Τι κάνεις\u037e",
      "שלום.",
      "გამარჯობა."
    ]]
  ])("%s", (_, texts) => {
    for (const text of texts) assert.strictEqual(Sentence.endOf(text), text.length, text)
  })

  it("a text that grows token by token is complete at its ender only", () => {
    const tokens = ["The", " quick", " brown", " fox", " jumps", "."]
    const ends = tokens.map((_, i) => Sentence.endOf(tokens.slice(0, i + 1).join("")))
    assert.deepStrictEqual(ends, [0, 0, 0, 0, 0, 26])
  })
})

describe("endsSentence", () => {
  it.each([
    "This is a test.",
    "Wow!",
    "How are you?",
    "这是一个测试。",
    "Important note:",
    "I saw Mr. Smith yesterday.",
    "I visited the U.S.A.. It was fun.",
    "This is a test.   ",
    "I saw Mr. Smith yesterday. He was nice.",
    "First sentence. Second sentence!",
    "Dr. Jones said hello.",
    "Prof. Smith teaches CS.",
    ".",
    "。",
    "?",
    "？",
    "!",
    "！",
    ":",
    "：",
    // ours
    "Wait;",
    "هل أنت بخير؟",
    "नमस्ते।",
    "He said “Yes.”",
    "(Really!)",
    "Write to a@b.c.",
    "H E L L O . "
  ])("%j does", (text) => {
    assert.isTrue(Sentence.endsSentence(text))
  })

  it.each([
    "This is not the end",
    "Mr.",
    "",
    "   ",
    "The meeting is at 3:00 p.m.",
    "Meet me at 3 p.m.",
    "The U.S.A. is a country",
    "1. First item",
    "Item 2. Description",
    "Hello, ",
    // ours
    "This is the U.S.A.",
    "Item 2.",
    "Pi is 3.",
    "Heute ist Dienstag, der 3.",
    "Das heißt z. B.",
    "Salt &amp;",
    "“quoted”"
  ])("%j does not", (text) => {
    assert.isFalse(Sentence.endsSentence(text))
  })

  it("confirms at frame boundaries what endOf then cuts (pipeline-py's example)", () => {
    const out: Array<string> = []
    let pending = ""
    for (const c of "Hello, world. It's me, a pipeline.") {
      pending += c + " "
      if (!Sentence.endsSentence(pending)) continue
      const end = Sentence.endOf(pending)
      out.push(pending.slice(0, end).toUpperCase())
      pending = pending.slice(end)
    }
    assert.deepStrictEqual([...out, pending], [
      "H E L L O ,   W O R L D .",
      "   I T ' S   M E ,   A   P I P E L I N E .",
      " "
    ])
  })
})

describe("Splitter", () => {
  it("keeps what is not confirmed", () => {
    const splitter = Sentence.makeSplitter()
    assert.deepStrictEqual(splitter.push("Hello "), [])
    assert.strictEqual(splitter.pending, "Hello ")
    splitter.reset()
    assert.strictEqual(splitter.pending, "")
    assert.deepStrictEqual(splitter.push("Hello Pipecat!"), [])
    assert.strictEqual(splitter.pending, "Hello Pipecat!")
    assert.deepStrictEqual(splitter.flush(), ["Hello Pipecat!"])
    assert.deepStrictEqual(splitter.flush(), [])
    assert.strictEqual(splitter.pending, "")
  })

  it("is confirmed by the next character that is not white space", () => {
    const splitter = Sentence.makeSplitter()
    assert.deepStrictEqual(splitter.push("Hello Pipecat!"), [])
    assert.deepStrictEqual(splitter.push(" \n "), [])
    assert.deepStrictEqual(splitter.push("H"), ["Hello Pipecat!"])
    assert.strictEqual(splitter.pending, " \n H")
    assert.deepStrictEqual(splitter.push("ow are you?"), [])
    assert.deepStrictEqual(splitter.flush(), [" \n How are you?"])
  })

  it("a strong ender is confirmed by any next character", () => {
    const splitter = Sentence.makeSplitter()
    assert.deepStrictEqual(splitter.push("你好"), [])
    assert.deepStrictEqual(splitter.push("世界。"), [])
    assert.deepStrictEqual(splitter.push("下"), ["你好世界。"])
    assert.deepStrictEqual(splitter.push("一句话。"), [])
    assert.deepStrictEqual(splitter.push(" "), ["下一句话。"])
    assert.deepStrictEqual(splitter.flush(), [" "])
    assert.deepStrictEqual(splitter.push("こんにちは。"), [])
    assert.deepStrictEqual(splitter.flush(), ["こんにちは。"])
  })

  it.each<readonly [string, ReadonlyArray<string>]>([
    ["Hello Pipecat! How are you?", ["Hello Pipecat!", " How are you?"]],
    ["$29.95/month.", ["$29.95/month."]],
    ["Hello Mr. Smith.", ["Hello Mr. Smith."]],
    ["Hello world. Next sentence", ["Hello world.", " Next sentence"]],
    ["Hello", ["Hello"]],
    ["Hello. W", ["Hello.", " W"]],
    ["こんにちは。元気ですか？", ["こんにちは。", "元気ですか？"]],
    ["こんにちは。元", ["こんにちは。", "元"]],
    ["Hello, world. How are you? I am fine! ", ["Hello, world.", " How are you?", " I am fine!", " "]],
    ["", []],
    [" \n", [" \n"]]
  ])("%j", (text, expected) => assertSplit(text, expected))

  const never: ReadonlyArray<string> = [
    // abbreviations, initials
    "Mr. Smith, Mrs. Jones, Dr. Who and Prof. X met Lt. Col. Brown of Acme Inc. in St. Louis.",
    "The U.S. Army, the A.I. Lab, J. K. Rowling, a Ph.D. Student, i.e. Bob, e.g. Ann, etc. Etc.",
    "See No. 5, Fig. 3, vol. 2 and p. 12 of Jan. 5.",
    "Das ist z. B. Herr Dr. Müller, d. h. Hr. Prof. Dr.-Ing. Meier, geb. Schmidt, bzw. Frau Dipl.-Ing. Weber, Nr. 5, Str. A.",
    "M. Dupont, Mme. Curie et Mgr. Martin, p. ex. Paul, c.-à-d. Pierre, av. J.-C. Rien.",
    "El Sr. García, la Sra. López y la Dra. Ruiz de EE. UU. Viven, p. ej. Ana, a las 3 p. m. Hoy, pág. 5.",
    "Это т. е. Москва и т. д. и т. п. А. С. Пушкин, проф. Иванов, ул. Ленина, г. Москва, им. Кирова, см. Рис.",
    "قال د. أحمد و أ. محمد إلخ. نعم",
    "डॉ. शर्मा और प्रो. वर्मा",
    "ขอบคุณครับ 5 (ครับ) ๆ",
    "３．１４です、Dr．スミスは",
    "เวลา 10.00 น. วันที่ 5 ม.ค. พ.ศ. 2567 ดร. สมชาย",
    // decimals, times, dates, ordinals, lists
    "Pi is 3.14159, e is 2.718 and v2.0.1 is out.",
    "Be there at 3:00 p.m. Bring 5.50 at 10:30 a.m. Eastern.",
    "Heute ist Dienstag, der 3. Juli, im 19. Jahrhundert, am 3. 5. 2024, zweitens, und 3. Drittens.",
    "1. First item",
    "\n- 2. Second item",
    "Steps: 1. Open it",
    // addresses
    "Mail foo.bar@pipecat.ai or see https://a.b.c/d.html?e=f!g;h#i.J now",
    "Use Node.js, .NET and www.example.com, ok?no, a;b",
    "看 https://a.b/c?你好!他 ok",
    // ellipses
    "Well... I think so… Maybe ... Yes",
    "我想……他走了...他说",
    // quotes and brackets
    "“Stop!” he said, “Go?”, and ( why? ) left « Vraiment ? » dit il «Oui.»; ",
    "「え？」と言った",
    // tags, entities
    "Say <emotion value=\"Happy! Very. So? Yes\"/> and <a title='你好。世界' href=\"x\">it</a> now",
    "<b>Stop!</b> he said",
    "Salt &amp; Pepper &#39; X",
    // a number or a mark alone is not a sentence
    "... Hello",
    "? ! Hello",
    // wrapped
    "One\ntwo\nThree"
  ]
  it.each(never)("never breaks %j", (text) => {
    const out = unitByUnit(text)
    // what may end a sentence at the very end of the text does
    assert.strictEqual(out[0]?.trimEnd(), text.trimEnd())
  })

  it.each<readonly [string, ReadonlyArray<string>]>([
    // the same marks, where they do end one
    ["I am 25. You are 30. Pi is 3.14. Ok", ["I am 25.", " You are 30.", " Pi is 3.14.", " Ok"]],
    ["No. Never. So do I. Then go", ["No.", " Never.", " So do I.", " Then go"]],
    ["Это я. Ты где?", ["Это я.", " Ты где?"]],
    ["It is 20°C. R&D. Yes", ["It is 20°C.", " R&D.", " Yes"]],
    ["À l'est. Vas-y. Bien", ["À l'est.", " Vas-y.", " Bien"]],
    ["See https://a.b/c?d=e. Mail f@g.h. 对!对", ["See https://a.b/c?d=e.", " Mail f@g.h.", " 对!", "对"]],
    ["The U.S.A.. It was fun", ["The U.S.A..", " It was fun"]],
    ["Well...\nI see…\nOk", ["Well...", "\nI see…", "\nOk"]],
    ["What?! Что?.. Я.", ["What?!", " Что?..", " Я."]],
    ["1. First. 2. Second.\n3. Third", ["1. First.", " 2. Second.", "\n3. Third"]],
    // what closes belongs to its sentence, what opens to the next
    ["He said “Go.” “Why?” (Yes.) [No!] Ok", ["He said “Go.”", " “Why?”", " (Yes.)", " [No!]", " Ok"]],
    ["他说：\"你好。\"他问：“真的吗？”“是。”", ["他说：\"你好。\"", "他问：“真的吗？”", "“是。”"]],
    ["« Oui. » »Ja!« »So?« ( Yes! ) ) ok", ["« Oui. »", " »Ja!«", " »So?«", " ( Yes! ) ) ok"]],
    ["对。\"好。\"对", ["对。", "\"好。\"", "对"]],
    ["**Bold.** *It?* **你好。**世界。**再见**", ["**Bold.**", " *It?*", " **你好。**", "世界。", "**再见**"]],
    ["你好。<", ["你好。", "<"]],
    ["Hi.</b", ["Hi.</b"]],
    ["对!。ok", ["对!。", "ok"]],
    ["\"对\n\n对。\"好", ["\"对", "\n\n对。", "\"好"]],
    ["Hi! (!) Yes", ["Hi!", " (!) Yes"]],
    ["One!\n) Two", ["One!", "\n) Two"]],
    ["<b x\n\nOk. Yes", ["<b x", "\n\nOk.", " Yes"]],
    ["a <b <i x='1! A'> ok! B", ["a <b <i x='1! A'> ok!", " B"]],
    ["<p>One.</p> <p>二。</p><b>三</b>", ["<p>One.</p>", " <p>二。</p>", "<b>三</b>"]],
    ["One.<b> 二。<b>三</b>", ["One.<b> 二。", "<b>三</b>"]],
    ["a<b. Then c <3. Ok", ["a<b. Then c <3.", " Ok"]],
    // empty lines end anything
    ["Title\n\n- item\n- item.\n- Next\r\n\r\nEnd", ["Title", "\n\n- item\n- item.", "\n- Next", "\r\n\r\nEnd"]],
    // small letters: nothing, or all there is
    ["He ate misc. things. Then. rest", ["He ate misc. things.", " Then. rest"]],
    ["sure. i can. wait... what, 3. no", ["sure.", " i can.", " wait... what, 3. no"]],
    ["Mixed!你好.我是AI.版本3.版本３．版本", ["Mixed!", "你好.", "我是AI.", "版本3.版本３．版本"]],
    // surrogate pairs, marks, direction marks
    ["Great! 😀 Nice.👍🏽 Ok. 😀!\ufe0f Yes", ["Great!", " 😀 Nice.👍🏽 Ok.", " 😀!\ufe0f", " Yes"]],
    ["Hi!𠮷 𑅁𠮷", ["Hi!", "𠮷 𑅁", "𠮷"]],
    ["好。\u0301好. \u200fنعم", ["好。\u0301", "好.", " \u200fنعم"]],
    ["Ինչպե՞ս եք։ Լավ։", ["Ինչպե՞ս եք։", " Լավ։"]],
    ["One: two, three; Four", ["One: two, three;", " Four"]]
  ])("splits %j", (text, expected) => assertSplit(text, expected))

  it("takes numbers for ordinals in German", () => {
    assertSplit("Kapitel 3. Danach", ["Kapitel 3.", " Danach"])
    assertSplit("Kapitel 3. Danach", ["Kapitel 3. Danach"], { locale: "de-AT" })
  })

  it("a stray < does not mute the text", () => {
    const text = "x <b " + "word ".repeat(60) + ". Next. One"
    assertSplit(text, [text.slice(0, -10), " Next.", " One"])
  })

  it("no sentence ends inside a span", () => {
    const tags: Sentence.Options = { tags: [["<spell>", "</spell>"], ["spell(", ")"]] }
    assertSplit("Hi! It is <spell>A? B! C</spell>. Ok spell(x. Y! Z)! Yes", [
      "Hi!",
      " It is <spell>A? B! C</spell>.",
      " Ok spell(x. Y! Z)!",
      " Yes"
    ], tags)
    // an end tag of another pair does not close it; the other start does not open
    assertSplit("<spell>a) spell( b? C</spell> d! E", ["<spell>a) spell( b? C</spell> d!", " E"], tags)
    assertSplit("<spell>a\n\nb。c", ["<spell>a\n\nb。c"], tags)
    assertSplit("Hi. <spell>A. B", ["Hi.", " <spell>A. B"], tags)
    assertSplit("Say $A! B$ now. C $$ D! E", ["Say $A! B$ now.", " C $$ D!", " E"], { tags: [["$", "$"]] })
    assertSplit("x **a* b! C** ***d! E** f! G", ["x **a* b! C** ***d! E** f!", " G"], { tags: [["**", "**"]] })
    assertSplit("a [! B! C !] d! E", ["a [! B! C !] d!", " E"], { tags: [["[!", "!]"]] })
    assertSplit("a !! B! C -- d! E", ["a !! B! C -- d!", " E"], { tags: [["!!", "--"]] })
    assertSplit("<say A! B/> c! D", ["<say A! B/> c!", " D"], { tags: [["<say", "/>"]] })
    // a capital in a span is a capital of the text
    assertSplit("<spell>A</spell> ok. then", ["<spell>A</spell> ok. then"], tags)
  })

  it("is usable again after a flush inside a span", () => {
    const splitter = Sentence.makeSplitter({ tags: [["<spell>", "</spell>"]] })
    assert.deepStrictEqual(splitter.push("<spell>A. B"), [])
    assert.deepStrictEqual(splitter.flush(), ["<spell>A. B"])
    assert.deepStrictEqual(splitter.push("A be. C"), ["A be."])
  })

  it("costs the same per character however much is pending", () => {
    const texts: ReadonlyArray<(i: number) => string> = [
      () => "a",
      () => ".",
      (i) => i === 0 ? "a" : i === 1 ? "." : " ",
      (i) => "A. ".charAt(i % 3),
      (i) => "<a ".charAt(i % 3),
      (i) => ".</".charAt(i % 3),
      (i) => "Hello world, e.g. Bob. ".charAt(i % 23)
    ]
    for (const at of texts) {
      const splitter = Sentence.makeSplitter()
      const started = performance.now()
      for (let i = 0; i < 100_000; i++) splitter.push(at(i))
      // 20 to 120 ms here; a quadratic one takes minutes
      assert.isBelow(performance.now() - started, 2000)
    }
  })
})

describe("languages", () => {
  const texts: Record<string, ReadonlyArray<readonly [separator: string, sentences: ReadonlyArray<string>]>> = {
    English: [
      [" ", ["Hello, I'm Dr. Smith.", "How are you today?", "That's great!", "Let's begin."]],
      [" ", [
        "The price is $3.50, i.e. Five percent off.",
        "\"Is that right?\" she asked.",
        "Yes;",
        "it is 5 p.m. now."
      ]],
      [" ", ["Visit https://example.com/a.b?c=d.", "Or write to me@example.co.uk.", "Thanks!"]]
    ],
    German: [
      [" ", ["Guten Tag, Herr Dr. Müller!", "Wie geht es Ihnen?", "Mir geht es gut."]],
      [" ", ["Heute ist Dienstag, der 3. Juli 2024.", "Wir treffen uns z. B. Am Bahnhof.", "Bis dann!"]],
      [" ", ["Das kostet ca. 3,50 €.", "„Wirklich?“ fragte sie.", "»Ja.«", "Na gut, usw. usf."]]
    ],
    French: [
      [" ", ["Bonjour, M. Dupont !", "Comment allez-vous ?", "Très bien, merci."]],
      [" ", ["Le prix est de 2.50 euros.", "Je peux vous aider.", "« Vraiment ? » dit Mme. Curie.", "Oui…"]],
      [" ", ["Il est né en 50 av. J.-C. À Rome.", "C'est l'été.", "N'est-ce pas ?"]]
    ],
    Spanish: [
      [" ", ["¡Hola, Sr. García!", "¿Cómo está Ud. Hoy?", "Muy bien, gracias."]],
      [" ", ["La Sra. López vive en EE. UU. Desde 2010.", "¿De verdad?", "Sí."]],
      [" ", ["Son las 3:00 p. m. y llueve.", "Traiga frutas, p. ej. Manzanas.", "¡Adiós!"]]
    ],
    Chinese: [
      ["", ["你好！", "我是AI助手。", "今天天气怎么样？", "很好；", "谢谢。"]],
      ["", ["圆周率是3.14159。", "他说：“明天来。”", "然后就走了。", "真的吗？！"]],
      ["", ["你好,我叫Mr. Wang.", "很高兴认识你!", "请看https://a.b/c.d。", "再见"]]
    ],
    Japanese: [
      ["", ["こんにちは。", "元気ですか？", "はい、元気です！", "ありがとう。"]],
      ["", ["「え？」と彼は言った。", "円周率は3.14です。", "本当ですか？！", "はい……そうです。"]],
      ["", ["東京は午後3:00です。", "（たぶん。）", "明日は雨でしょう｡", "傘を持って"]]
    ],
    Korean: [
      [" ", ["안녕하세요.", "저는 AI 비서입니다.", "오늘 어떻게 지내세요?", "좋아요!"]],
      [" ", ["네.", "가격은 3.5달러입니다.", "\"정말요?\"라고 물었다.", "예."]],
      [" ", ["오후 3:00에 만나요.", "me@a.kr로 보내 주세요.", "감사합니다。"]]
    ],
    Hindi: [
      [" ", ["नमस्ते।", "आप कैसे हैं?", "मैं ठीक हूँ।", "धन्यवाद!"]],
      [" ", ["डॉ. शर्मा आज आएंगे।", "कीमत 3.50 रुपये है।", "क्या यह सही है？"]],
      [" ", ["यह पहला वाक्य है.", "यह दूसरा है.", "“सच?”", "हाँ॥"]]
    ],
    Arabic: [
      [" ", ["مرحبا.", "كيف حالك؟", "أنا بخير، شكرا!", "إلى اللقاء."]],
      [" ", ["السعر 3.50 دولار.", "قال د. أحمد نعم؛", "هل هذا صحيح؟"]],
      [" ", ["زوروا https://a.b/c.d الآن.", "«حقا؟»", "نعم.\u200f", "شكرا"]]
    ],
    Russian: [
      [" ", ["Привет!", "Как дела?", "У меня всё хорошо, т. е. Отлично.", "Спасибо."]],
      [" ", ["А. С. Пушкин родился в г. Москве.", "Это я.", "Цена 3.50 руб. за кг.", "Что?.."]],
      [" ", ["«Правда?» — спросил он.", "Да, проф. Иванов и др. Знали.", "До свидания!"]]
    ],
    Thai: [
      // a space alone does not end a sentence, ครับ, ค่ะ, คะ and a space do; so does Latin punctuation
      [" ", ["สวัสดีครับ", "วันนี้อากาศดีมากค่ะ", "คุณสบายดีไหมคะ", "สบายดี"]],
      [" ", ["ผมชื่อสมชาย อายุ 25 ปี.", "คุณเป็นอย่างไรบ้าง?", "ดีมาก!", "ขอบคุณ"]],
      ["", ["ดีมาก!", "ไปกัน?", "ไป"]],
      [" ", ["ราคา 3.50 บาท เวลา 10.00 น. ทุกวัน ปี พ.ศ. 2567 ครับ", "ดร. สมชายมาแล้วครับ", "จริงหรือ?"]]
    ]
  }

  it.each(Object.entries(texts))("%s", (_, cases) => {
    assert.isAtLeast(cases.length, 3)
    for (const [separator, sentences] of cases) {
      assertSplit(sentences.join(separator), sentences.map((sentence, i) => i === 0 ? sentence : separator + sentence))
    }
  })
})

describe("properties", () => {
  // what breaks splitters, in fragments that combine into more of it
  const fragment = Arbitrary.schema(Schema.Literals([
    ..."abAB1２Жя你はก한अم .!?;:,…。！؟।\n\t\"'“”«»()「」<>/@*_-&\u0301\u200d\u200f\ufe0f\u00a0՞",
    ..."😀𠮷👍🏽".split(""), // halves of surrogate pairs
    "😀",
    "👨‍👩‍👧",
    "𠮷",
    "𑅁",
    "𐐀",
    "\u{e0100}",
    "Mr.",
    "U.S.A.",
    "3:00 p.m.",
    "3.14",
    "der 3. ",
    "...",
    "z. B. ",
    "т. е. ",
    "No. ",
    ". ",
    ".\n",
    "\r\n",
    "ครับ ",
    "https://a.b/c?d",
    "x@y.z",
    "&amp;",
    "<b>",
    "</b>",
    "<br a=\"1. 2\"/>",
    "<spell>",
    "</spell>"
  ]))
  const text = Arbitrary.map(Arbitrary.array(fragment, { maxLength: 40 }), (fragments) => fragments.join(""))
  const sizes = Arbitrary.array(Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 9 }))), {
    minLength: 1,
    maxLength: 12
  })

  const inChunks = (text: string, sizes: ReadonlyArray<number>, options: Sentence.Options): ReadonlyArray<string> => {
    const splitter = Sentence.makeSplitter(options)
    const out: Array<string> = []
    let at = 0
    for (let i = 0; at < text.length; i++) {
      // a size of 0 is an empty chunk, and one unit after a whole round of them
      const size = Math.max(sizes[i % sizes.length] ?? 1, i % sizes.length === 0 ? 1 : 0)
      out.push(...splitter.push(text.slice(at, at + size)))
      at += size
      assert.strictEqual(out.join("") + splitter.pending, text.slice(0, at))
    }
    return [...out, ...splitter.flush()]
  }

  const options: ReadonlyArray<Sentence.Options> = [{}, { locale: "de" }, {
    tags: [["<spell>", "</spell>"], ["(", ")"], ["**", "**"]]
  }]

  it.prop("lossless, chunk independent, whole code points, no empty piece", { text, sizes }, ({ sizes, text }) => {
    for (const option of options) {
      const whole = Sentence.split(text, option)
      assert.strictEqual(whole.join(""), text)
      assert.deepStrictEqual(inChunks(text, sizes, option), whole)
      assert.deepStrictEqual(unitByUnit(text, option), whole)
      for (const [i, piece] of whole.entries()) {
        assert.notStrictEqual(piece, "")
        const next = whole[i + 1]
        if (next === undefined) continue
        assert.isFalse(/[\ud800-\udbff]$/.test(piece) && /^[\udc00-\udfff]/.test(next), "cuts a pair")
        assert.isFalse(/^\p{M}/u.test(next), "cuts a combining mark off")
        assert.match(piece, /\S$/u)
      }
    }
  }, { arbitrary: { runs: 2000 } })

  it.prop("endOf is the end of the first piece", { text }, ({ text }) => {
    const end = Sentence.endOf(text)
    const first = Sentence.split(text)[0] ?? ""
    assert.isTrue(end === 0 ? first === text : end === first.length)
  }, { arbitrary: { runs: 2000 } })

  const word = Arbitrary.schema(Schema.Literals(["Hello", "Grüße", "Мир", "Été", "3.14", "x@y.z", "Bob's", "Über 25"]))
  const ender = Arbitrary.schema(Schema.Literals([".", "!", "?", "?!", ";", ".”", "!)", "?</b>", "。", "؟", "।"]))
  const gap = Arbitrary.schema(Schema.Literals([" ", "  ", "\n", "\u00a0", " \t "]))
  const next = Arbitrary.schema(Schema.Literals([..."AZÉЖ你한अم7\"“(¿<", "😀"]))
  it.prop(
    "never waits longer than for the next character",
    { word, ender, gap, next },
    ({ ender, gap, next, word }) => {
      const splitter = Sentence.makeSplitter()
      assert.deepStrictEqual(
        [...splitter.push(word + " word" + ender), ...splitter.push(gap), ...splitter.push(next)],
        [
          word + " word" + ender
        ]
      )
      assert.strictEqual(splitter.pending, gap + next)
    },
    { arbitrary: { runs: 500 } }
  )
})

describe("openTag", () => {
  const a: Sentence.TagPair = ["<a>", "</a>"]
  const spell: Sentence.TagPair = ["spell(", ")"]

  it("nothing to find", () => {
    assert.deepStrictEqual(Sentence.openTag("", { tags: [] }), { open: undefined, index: 0 })
    assert.deepStrictEqual(Sentence.openTag("Hello from Pipecat!", { tags: [] }), { open: undefined, index: 0 })
    assert.deepStrictEqual(Sentence.openTag("Hello from Pipecat!", { tags: [a] }), { open: undefined, index: 0 })
  })

  it.each<readonly [string, Sentence.TagPair, Sentence.TagPair | undefined, number]>([
    ["Hello from <a>Pipecat</a>!", a, undefined, 26],
    ["Hello from <a>Pipecat", a, a, 21],
    ["Hello from spell(Pipecat)!", spell, undefined, 26],
    ["Hello from spell(Pipecat", spell, spell, 24],
    ["Hello from <a>Pipecat</a>! Hello <a>World</a>!", a, undefined, 46],
    ["Hello from <a>Pipecat</a>! Hello <a>World", a, a, 41]
  ])("%j", (text, tag, open, index) => {
    assert.deepStrictEqual(Sentence.openTag(text, { tags: [tag] }), { open, index })
  })

  it("starts at an index", () => {
    assert.deepStrictEqual(Sentence.openTag("Hello from <a>Pipecat", { tags: [a], from: 6 }), { open: a, index: 21 })
  })

  it("goes on inside a tag", () => {
    assert.deepStrictEqual(Sentence.openTag("<a>x", { tags: [a], open: a, from: 3 }), { open: a, index: 4 })
    assert.deepStrictEqual(Sentence.openTag("<a>x</a> y", { tags: [a], open: a, from: 3 }), {
      open: undefined,
      index: 10
    })
  })

  it("does what the lineage does not: several pairs, order of appearance, tags cut in two", () => {
    assert.deepStrictEqual(Sentence.openTag("x spell(y", { tags: [a, spell] }), { open: spell, index: 9 })
    assert.deepStrictEqual(Sentence.openTag("</a> <a>y", { tags: [a] }), { open: a, index: 9 })
    assert.deepStrictEqual(Sentence.openTag("aa", { tags: [["aa", "ab"]] }), { open: ["aa", "ab"], index: 2 })
    assert.deepStrictEqual(Sentence.openTag("spell(<a>", { tags: [a, spell] }), { open: spell, index: 9 })
    const cut = Sentence.openTag("<a>x</", { tags: [a] })
    assert.deepStrictEqual(cut, { open: a, index: 4 })
    assert.deepStrictEqual(Sentence.openTag("<a>x</a> <", { tags: [a], open: cut.open, from: cut.index }), {
      open: undefined,
      index: 9
    })
  })
})

describe("trailingPartialMatch", () => {
  it.each<readonly [string, ReadonlyArray<string>, number]>([
    ["", ["<think>"], 0],
    ["Hello <", [], 0],
    ["Hello", ["<think>"], 0],
    ["Hello <", ["<think>"], 1],
    ["Hello <thin", ["<think>"], 5],
    ["Hello <think>", ["<think>"], 0],
    ["<think>", ["<think>"], 0],
    ["<th", ["<think>"], 3],
    ["Hi <te", ["<think>", "<test>"], 3],
    ["Hi <te", ["<test>", "<think>"], 3],
    ["Hi <t", ["<think>", "<test>"], 2],
    ["Hi <", ["<"], 0],
    ["aab", ["aabc", "bx"], 3]
  ])("%j, %j: %i", (text, candidates, expected) => {
    assert.strictEqual(Sentence.trailingPartialMatch(text, candidates), expected)
  })
})

it("an empty delimiter is no tag", () => {
  const nothing = { open: undefined, index: 0 }
  assert.deepStrictEqual(Sentence.openTag("ab", { tags: [["", ""]] }), nothing)
})
