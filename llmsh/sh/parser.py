"""From tokens to a tree, by recursive descent; one complete command at a time.

It knows the grammar (POSIX.1-2024, Shell Command Language, 2.10) and nothing of expansion. Words of
the language that this version does not have are refused by name.
"""

from llmsh.sh.errors import ShellSyntaxError
from llmsh.sh.lexer import END, NEWLINE, NUMBER, OPERATOR, WORD, Lexer, Token
from llmsh.sh.tree import AndOr, Assignment, Command, Group, Item, List, Literal, Pipeline, Redirect, Simple, Word
from llmsh.sh.word import Words, is_name

_REDIRECTS = {"<": 0, ">": 1, ">>": 1, ">|": 1, "<>": 0, "<&": 0, ">&": 1, "<<": 0, "<<-": 0}
_LATER = frozenset(("if", "then", "else", "elif", "fi", "for", "while", "until", "do", "done", "case", "esac"))
_NEVER = frozenset(("function", "select", "[["))


class Parser:
    """A lexer's tokens as trees."""

    def __init__(self, lexer: Lexer) -> None:
        self.lexer = lexer
        lexer.nested = _substitution
        self._held: Token | None = None

    def complete(self) -> List | None:
        """The next complete command, up to its newline: empty for an empty line, None at the end."""
        self._held = None
        self.lexer.forget()
        if self._peek().kind == NEWLINE:
            return ()
        if self._peek().kind == END:
            return None
        items = self._list(())
        if self._peek().kind not in (NEWLINE, END):
            raise self._unexpected()
        return items

    def is_spent(self) -> bool:
        """After a complete command: whether nothing but blanks is left of a text that is at hand."""
        return not self.lexer.text[self.lexer.pos :].strip()

    def substitution(self) -> List:
        """The list of $(...), up to and with its closing parenthesis."""
        self._newlines()
        body: List = () if self._at(")") else self._list((")",))
        if not self._at(")"):
            raise self._unexpected()
        self._next()
        return body

    # Tokens.

    def _peek(self) -> Token:
        if self._held is None:
            self._held = self.lexer.next()
        return self._held

    def _next(self) -> Token:
        token = self._peek()
        self._held = None
        return token

    def _at(self, *operators: str) -> bool:
        token = self._peek()
        return token.kind == OPERATOR and token.text in operators

    def _word_is(self, text: str) -> bool:
        token = self._peek()
        return token.kind == WORD and token.word.parts == (Literal(text),) and token.text == text

    def _newlines(self) -> None:
        while self._peek().kind == NEWLINE:
            self._next()

    def _unexpected(self) -> ShellSyntaxError:
        token = self._peek()
        what = {NEWLINE: "newline", END: "end of input"}.get(token.kind, f"'{token.text}'")
        return ShellSyntaxError(token.line, f"syntax error near {what}")

    def _source(self, start: int) -> str:
        """The text from `start` to the token at hand, on one line."""
        end = self._peek().start
        return " ".join(self.lexer.text[start:end].split())

    # Grammar.

    def _list(self, closing: tuple[str, ...]) -> List:
        """Commands joined by ; and & (and newlines, when something closes the list)."""
        items: list[Item] = []
        while True:
            command = self._and_or()
            background = self._at("&")
            items.append(Item(command, background))
            separated = background or self._at(";")
            if separated:
                self._next()
            if closing and self._peek().kind == NEWLINE:
                self._newlines()
                separated = True
            if not separated or self._ends(closing):
                return tuple(items)

    def _ends(self, closing: tuple[str, ...]) -> bool:
        token = self._peek()
        if token.kind in (END, NEWLINE):
            return True
        return token.text in closing and (token.kind == OPERATOR or self._word_is(token.text))

    def _and_or(self) -> AndOr:
        start = self._peek().start
        first = self._pipeline()
        rest: list[tuple[str, Pipeline]] = []
        while self._at("&&", "||"):
            operator = self._next().text
            self._newlines()
            rest.append((operator, self._pipeline()))
        return AndOr(first, tuple(rest), self._source(start))

    def _pipeline(self) -> Pipeline:
        start = self._peek().start
        negated = False
        if self._word_is("!"):
            self._next()
            negated = True
        commands = [self._command()]
        while self._at("|"):
            self._next()
            self._newlines()
            commands.append(self._command())
        return Pipeline(tuple(commands), negated, self._source(start))

    def _command(self) -> Command:
        token = self._peek()
        if self._at("("):
            return self._group(")", subshell=True)
        if self._word_is("{"):
            return self._group("}", subshell=False)
        if token.kind == WORD and token.text in _LATER | _NEVER:
            raise ShellSyntaxError(token.line, f"syntax error near '{token.text}': not in this version")
        return self._simple()

    def _group(self, closing: str, subshell: bool) -> Group:
        line = self._next().line
        self.lexer.deeper()
        self._newlines()
        body = self._list((closing,))
        if self._peek().text != closing or not self._ends((closing,)):
            raise self._unexpected()
        self.lexer.depth -= 1
        self._next()
        redirects: list[Redirect] = []
        while redirect := self._redirect():
            redirects.append(redirect)
        return Group(body, tuple(redirects), subshell, line)

    def _simple(self) -> Simple:
        line = self._peek().line
        assignments: list[Assignment] = []
        words: list[Word] = []
        redirects: list[Redirect] = []
        while True:
            if redirect := self._redirect():
                redirects.append(redirect)
                continue
            if self._peek().kind != WORD:
                break
            token = self._next()
            assignment = None if words else _assignment(token.word)
            if assignment:
                assignments.append(assignment)
            else:
                words.append(token.word)
            if len(words) == 1 and self._at("("):
                raise ShellSyntaxError(line, "syntax error near '(': functions are not in this version")
        if not (assignments or words or redirects):
            raise self._unexpected()
        return Simple(tuple(assignments), tuple(words), tuple(redirects), line)

    def _redirect(self) -> Redirect | None:
        token = self._peek()
        number = None
        if token.kind == NUMBER:
            number = self._next()
            token = self._peek()
        if token.kind != OPERATOR or token.text not in _REDIRECTS:
            if number is not None:
                raise self._unexpected()
            return None
        self._next()
        if self._peek().kind not in (WORD, NUMBER):
            raise self._unexpected()
        target = self._next().word
        fd = _REDIRECTS[token.text] if number is None else int(number.text[-6:])
        if token.text in ("<<", "<<-"):
            return Redirect(fd, "<<", self.lexer.want_here(target, strip=token.text == "<<-"))
        return Redirect(fd, token.text, target)


def _assignment(word: Word) -> Assignment | None:
    """name=value, when the name and the = are unquoted."""
    head = word.parts[0]
    if not isinstance(head, Literal):
        return None
    name, equals, value = head.text.partition("=")
    if not equals or not is_name(name):
        return None
    rest = word.parts[1:]
    return Assignment(name, Word((Literal(value), *rest) if value else rest))


def _substitution(words: Words) -> List:
    """The list of $(...), its closing parenthesis taken."""
    assert isinstance(words, Lexer)
    return Parser(words).substitution()


def parse(text: str) -> list[List]:
    """Every complete command of a text, empty lines left out."""
    parser = Parser(Lexer(text))
    commands: list[List] = []
    while (command := parser.complete()) is not None:
        if command:
            commands.append(command)
    return commands
