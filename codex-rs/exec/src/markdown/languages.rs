//! What comments, strings and keywords look like in the languages that answers are written in.

/// As much of a language's lexis as colours need.
#[derive(Debug)]
pub(super) struct Language {
    /// As they stand after the fence of a block.
    names: &'static [&'static str],
    pub(super) line_comments: &'static [&'static str],
    pub(super) block_comment: Option<(&'static str, &'static str)>,
    /// Quotes of strings that end with the line.
    pub(super) quotes: &'static [char],
    /// Quotes of strings that do not.
    pub(super) long_quotes: &'static [&'static str],
    /// With spaces between them.
    pub(super) keywords: &'static str,
    /// Whether keywords may be written in any case.
    pub(super) any_case: bool,
}

const NONE: Language = Language {
    names: &[],
    line_comments: &[],
    block_comment: None,
    quotes: &['"', '\''],
    long_quotes: &[],
    keywords: "true false null",
    any_case: false,
};

/// Of C and of what looks like it.
const C_COMMENT: Option<(&str, &str)> = Some(("/*", "*/"));

static LANGUAGES: &[Language] = &[
    Language {
        names: &["rust", "rs"],
        line_comments: &["//"],
        block_comment: C_COMMENT,
        // A single quote is a lifetime as often as a character.
        quotes: &['"'],
        keywords: "as async await break const continue crate dyn else enum extern false fn for if impl in \
            let loop match mod move mut pub ref return self Self static struct super trait true type \
            unsafe use where while",
        ..NONE
    },
    Language {
        names: &["python", "py", "python3"],
        line_comments: &["#"],
        long_quotes: &["\"\"\"", "'''"],
        keywords: "False None True and as assert async await break case class continue def del elif else \
            except finally for from global if import in is lambda match nonlocal not or pass raise \
            return try while with yield",
        ..NONE
    },
    Language {
        names: &["javascript", "js", "jsx", "mjs", "typescript", "ts", "tsx"],
        line_comments: &["//"],
        block_comment: C_COMMENT,
        long_quotes: &["`"],
        keywords: "abstract as async await break case catch class const continue declare default delete do \
            else enum export extends false finally for from function if implements import in \
            instanceof interface let new null of private protected public readonly return static \
            super switch this throw true try type typeof undefined var void while yield",
        ..NONE
    },
    Language {
        names: &["go", "golang"],
        line_comments: &["//"],
        block_comment: C_COMMENT,
        long_quotes: &["`"],
        keywords: "break case chan const continue default defer else false for func go goto if import \
            interface map nil package range return select struct switch true type var",
        ..NONE
    },
    Language {
        names: &["c", "h", "cpp", "c++", "cc", "cxx", "hpp", "cuda"],
        line_comments: &["//"],
        block_comment: C_COMMENT,
        keywords: "auto bool break case char class const constexpr continue default define delete do double \
            else enum extern false float for goto if include inline int long namespace new nullptr \
            private protected public return short signed sizeof static struct switch template this \
            throw true try typedef typename union unsigned using virtual void volatile while",
        ..NONE
    },
    Language {
        names: &[
            "java", "kotlin", "kt", "scala", "csharp", "cs", "c#", "swift", "dart", "php", "groovy",
        ],
        line_comments: &["//"],
        block_comment: C_COMMENT,
        long_quotes: &["\"\"\""],
        keywords: "abstract as async await boolean break case catch class const continue data def default \
            do double else enum extends false final finally float for foreach fun func function \
            guard if implements import in int interface is let long namespace new null nil object \
            override package private protected protocol public return self static string struct \
            super switch this throw throws trait true try using val var void when where while yield",
        ..NONE
    },
    Language {
        names: &["ruby", "rb"],
        line_comments: &["#"],
        keywords: "and begin break case class def do else elsif end ensure false for if in module next nil \
            not or rescue return self super then true unless until when while yield",
        ..NONE
    },
    Language {
        names: &[
            "bash",
            "sh",
            "shell",
            "zsh",
            "console",
            "dockerfile",
            "makefile",
            "make",
        ],
        line_comments: &["#"],
        keywords: "case do done elif else esac export fi for function if in local return set then until \
            while ADD CMD COPY ENV ENTRYPOINT EXPOSE FROM RUN USER WORKDIR",
        ..NONE
    },
    Language {
        names: &["sql", "postgres", "postgresql", "mysql", "sqlite"],
        line_comments: &["--"],
        block_comment: C_COMMENT,
        keywords: "add all alter and as asc begin between by case commit create delete desc distinct drop \
            else end exists false foreign from group having in index inner insert into is join key \
            left like limit not null on or order outer primary references right select set table \
            then true union unique update values view when where with",
        any_case: true,
        ..NONE
    },
    Language {
        names: &["lua"],
        line_comments: &["--"],
        keywords: "and break do else elseif end false for function if in local nil not or repeat return \
            then true until while",
        ..NONE
    },
    Language {
        names: &["css", "scss", "less"],
        block_comment: C_COMMENT,
        ..NONE
    },
    Language {
        names: &["json", "json5", "jsonc"],
        line_comments: &["//"],
        ..NONE
    },
    Language {
        names: &[
            "yaml",
            "yml",
            "toml",
            "ini",
            "conf",
            "properties",
            "hcl",
            "terraform",
            "tf",
            "nginx",
        ],
        line_comments: &["#"],
        long_quotes: &["\"\"\""],
        ..NONE
    },
    Language {
        names: &["html", "xml", "svg", "vue"],
        block_comment: Some(("<!--", "-->")),
        quotes: &['"'],
        ..NONE
    },
];

/// By the word after a fence, in any case.
pub(super) fn language(name: &str) -> Option<&'static Language> {
    let is_it = |other: &&str| other.eq_ignore_ascii_case(name);
    LANGUAGES
        .iter()
        .find(|language| language.names.iter().any(is_it))
}
