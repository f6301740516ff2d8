// What people of the six professions of the demo's biographies do. Three pairs that share a world, so that a few words tell them apart.
/** Templates of a grammar for what belongs to one profession alone. */
export interface OwnWords {
  readonly topic: readonly string[];
  readonly act: readonly string[];
  readonly past: readonly string[];
  readonly tool: readonly string[];
}

/** Templates for the world that a profession shares with its neighbour. */
export interface WorldWords {
  readonly place: readonly string[];
  readonly sharedTopic: readonly string[];
  readonly sharedAct: readonly string[];
  readonly sharedPast: readonly string[];
  readonly study: readonly string[];
}

export interface Profession {
  readonly profession: string;
  readonly own: OwnWords;
  readonly world: WorldWords;
}

const hospital: WorldWords = {
  place: [
    "[a|the] [city|county|university|district] hospital",
    "a [small|busy|new] clinic [near the river|in the old town|by the station]",
    "the [emergency|children's|heart] department",
    "a [teaching|regional] hospital",
  ],
  sharedTopic: ["patient safety", "night shifts", "hand hygiene", "first aid", "health care", "emergency medicine"],
  sharedAct: [
    "talks with patients and their families",
    "works [nights|weekends|long shifts] in the hospital",
    "trains [new staff|students] on the ward",
    "reads the charts before every shift",
  ],
  sharedPast: ["volunteered in a health camp", "joined a hospital [team|board]", "completed a course in first aid"],
  study: ["medicine and health", "anatomy", "biology"],
};

const school: WorldWords = {
  place: [
    "[a|the] [state|city|private|rural] college",
    "an institute [near the park|in the old town|by the sea]",
    "the department of [history|languages|mathematics|science]",
    "a [small|large|well known] campus",
  ],
  sharedTopic: ["education", "curriculum planning", "reading", "history", "mathematics", "fair exams"],
  sharedAct: [
    "explains hard ideas in plain words",
    "marks [papers|essays|exams] in the evening",
    "prepares [notes|slides|exercises] for the next day",
    "helps students who fall behind",
  ],
  sharedPast: ["wrote a [textbook|workbook]", "joined an education [board|council]", "designed a new course"],
  study: ["education", "history", "mathematics", "linguistics"],
};

const press: WorldWords = {
  place: [
    "[a|the] [daily|weekly|local|national] [newspaper|magazine]",
    "a [small|busy|new] media company [in the old town|near the harbour|by the station]",
    "a [news|press] agency",
    "an independent magazine",
  ],
  sharedTopic: ["current events", "the press", "street life", "elections", "local culture", "media ethics"],
  sharedAct: [
    "covers [protests|elections|festivals|floods] around the country",
    "meets people whose stories are seldom told",
    "works to tight deadlines",
    "travels with a small bag and little notice",
  ],
  sharedPast: ["won a [press|media] award", "joined a media [council|collective]", "reported from abroad"],
  study: ["media studies", "communication", "politics"],
};

export const professions: readonly Profession[] = [
  {
    profession: "nurse",
    world: hospital,
    own: {
      topic: [
        "wound care",
        "patient comfort",
        "bedside care",
        "elder care",
        "vaccination",
        "pain relief",
        "home visits",
      ],
      act: [
        "changes dressings and [checks|records] blood pressure",
        "gives medication on time",
        "comforts [patients|children] at the bedside",
        "takes temperatures and [blood samples|notes]",
        "helps patients to [wash|eat|walk] again",
        "looks after [newborns|the elderly|recovering patients] at the bedside",
      ],
      past: ["ran a vaccination [drive|clinic]", "led the bedside care team", "introduced a new medication round"],
      tool: ["a thermometer", "clean bandages", "a medication chart", "a blood pressure cuff"],
    },
  },
  {
    profession: "surgeon",
    world: hospital,
    own: {
      topic: [
        "heart surgery",
        "knee operations",
        "organ transplants",
        "keyhole surgery",
        "trauma surgery",
        "spine surgery",
      ],
      act: [
        "operates on [hearts|knees|spines|hips]",
        "removes tumours and [repairs|replaces] valves",
        "leads long operations",
        "plans every incision with care",
        "performs transplants",
        "stands in the operating theatre [at dawn|for hours]",
      ],
      past: [
        "performed over {2-40} hundred operations",
        "led the transplant team",
        "introduced a new incision technique",
      ],
      tool: ["a scalpel", "fine sutures", "an operating microscope", "a surgical robot"],
    },
  },
  {
    profession: "teacher",
    world: school,
    own: {
      topic: ["primary classes", "classroom games", "spelling", "early reading", "playground safety", "school trips"],
      act: [
        "teaches children to [read|write|count]",
        "greets the pupils at the classroom door",
        "runs the school [choir|garden|play]",
        "tells stories to the youngest class",
        "meets parents after school",
        "hangs the pupils' drawings on the wall",
      ],
      past: [
        "started a school [library|choir|garden]",
        "led the primary school",
        "introduced homework clubs for pupils",
      ],
      tool: ["coloured chalk", "picture books", "a box of crayons", "a class register"],
    },
  },
  {
    profession: "professor",
    world: school,
    own: {
      topic: [
        "graduate research",
        "theory",
        "peer review",
        "archival research",
        "doctoral training",
        "academic writing",
      ],
      act: [
        "supervises doctoral [theses|candidates]",
        "publishes research in [leading|international] journals",
        "lectures to large halls of undergraduates",
        "reviews grant proposals",
        "speaks at academic conferences",
        "directs a research group",
      ],
      past: ["published {2-9} scholarly monographs", "chaired the faculty senate", "held a visiting chair"],
      tool: ["rare manuscripts", "large data archives", "a research grant", "lecture recordings"],
    },
  },
  {
    profession: "journalist",
    world: press,
    own: {
      topic: [
        "investigative reporting",
        "court reporting",
        "political columns",
        "interviews",
        "fact checking",
        "breaking news",
      ],
      act: [
        "interviews [ministers|witnesses|mayors]",
        "writes [columns|front page articles|reports]",
        "checks every source twice",
        "follows paper trails and leaked files",
        "asks hard questions at briefings",
        "edits headlines late at night",
      ],
      past: ["broke a story about [taxes|housing|water]", "edited the politics pages", "wrote a weekly column"],
      tool: ["a notebook", "a voice recorder", "a list of sources", "public records"],
    },
  },
  {
    profession: "photographer",
    world: press,
    own: {
      topic: [
        "portraits",
        "natural light",
        "landscape pictures",
        "black and white film",
        "photo essays",
        "studio lighting",
      ],
      act: [
        "shoots portraits in natural light",
        "frames [faces|streets|landscapes] with patience",
        "develops film in a darkroom",
        "waits for the right light",
        "retouches pictures at a large screen",
        "carries two cameras and a tripod",
      ],
      past: [
        "exhibited {20-90} prints in a gallery",
        "shot the cover of a travel magazine",
        "published a book of portraits",
      ],
      tool: ["an old camera", "a wide lens", "a tripod", "a portable flash"],
    },
  },
];
