"""Every word the browser's scripts show, translated on the server and handed over as JSON in the page.

The scripts hold no sentence of their own. Placeholders are `%(name)s`, as in the rest of the catalogue.
"""

from __future__ import annotations

from django.utils.translation import gettext as _


def page_words() -> dict[str, str]:
    """Key -> sentence in the reader's language; `static/js/words.js` reads it."""
    return {**_times(), **_live(), **_log(), **_editor(), **_streams()}


def _times() -> dict[str, str]:
    return {
        "now": _("just now"),
        "ago": _("%(amount)s ago"),
        "in": _("in %(amount)s"),
        "n_s": _("%(n)s s"),
        "n_min": _("%(n)s min"),
        "n_h": _("%(n)s h"),
        "n_d": _("%(n)s d"),
        "d_s": _("%(s)s s"),
        "d_ms": _("%(m)s m %(s)s s"),
        "d_hm": _("%(h)s h %(m)s m"),
        "d_dh": _("%(d)s d %(h)s h"),
        "usually": _("usually %(duration)s"),
        "late": _("%(duration)s longer than usual"),
    }


def _live() -> dict[str, str]:
    return {
        "live": _("Live: this page updates by itself"),
        "polling": _("Polling: this page asks every few seconds"),
        "offline": _("Offline: what you see may be old"),
        "copied": _("Copied"),
        "copy_failed": _("The browser did not let us copy; select the text and copy it by hand."),
        "failed": _("That did not work: the server answered with an error (%(status)s). Try again."),
        "unreachable": _("The server cannot be reached. Check your network and try again."),
        "signed_out": _("You have been signed out. Sign in again and repeat it."),
        "close": _("Close"),
    }


def _log() -> dict[str, str]:
    return {
        "log_empty": _("Nothing has been written yet."),
        "log_lines": _("%(n)s lines"),
        "log_folded": _("%(n)s more lines"),
        "log_cut": _("… %(size)s more in this line; download the log to see it"),
        "log_none": _("Not found"),
        "log_error": _("The log cannot be read now; trying again."),
        "log_fold": _("Fold or unfold this step"),
        "log_line": _("Link to line %(n)s"),
        "log_new": _("%(n)s new lines"),
        "log_over": _("The log has ended"),
        "log_running": _("Following the log as it is written"),
    }


def _editor() -> dict[str, str]:
    return {
        "editor_checking": _("Checking…"),
        "editor_fine": _("No problems found"),
        "editor_problems": _("%(n)s problems"),
        "editor_at": _("Line %(line)s, column %(column)s"),
        "editor_unchecked": _("This could not be checked; the text is kept. Trying again at the next change."),
        "editor_by": _("judged by %(judge)s"),
    }


def _streams() -> dict[str, str]:
    return {
        "slog_live": _("Live"),
        "slog_away": _("The cluster does not answer; the log goes on where it stopped when it does."),
        "slog_over": _("That is all: the run before has ended."),
        "slog_closed": _("This log cannot be followed any more; load the page again."),
        "slog_joined": _("followed from here"),
        "slog_left": _("is gone"),
        "slog_restarted": _("was restarted"),
        "slog_missed": _("%(n)s lines came faster than this page could show them and are left out here."),
        "slog_new": _("%(n)s new lines"),
        "slog_newest": _("Jump to newest"),
        "term_opening": _("Opening…"),
        "term_open": _("Connected to %(instance)s %(container)s"),
        "term_idle": _("Nobody has typed for long: the terminal closes in %(n)s s."),
        "term_ended": _("The shell has ended."),
        "term_exit": _("The shell has ended with exit code %(code)s."),
        "term_denied": _("You may not use this terminal any more."),
        "term_gone": _("The instance is gone; choose another one."),
        "term_slow": _("The browser took too long to show what came; the terminal was closed."),
        "term_left": _("Nobody typed for long, so the terminal was closed."),
        "term_much": _("Too much was typed or pasted at once; the terminal was closed."),
        "term_lost": _("The connection was lost."),
    }
