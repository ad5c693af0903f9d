"""Switches the storage: what is checked before, and what the plan's steps do (msrctl/plan/switch.py).

Design: nothing that serves is touched before the new store is proven; no tag is erased anywhere but in a new
store, and there only when that was asked for; from the moment pushes go to the new store only forward loses
nothing.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from msrctl.errors import MsrctlError, VerifyFailed, WrongState
from msrctl.model import names
from msrctl.plan.desired import registry_labels
from msrctl.plan.switch import Policy, policy_line
from msrctl.workflows import differences, gates, probe
from msrctl.workflows.owners import owner_options
from msrctl.workflows.preflight import NOTHING
from msrctl.workflows.stores import STALL_SECONDS, Side, on_stores

if TYPE_CHECKING:
    from collections.abc import Callable

    from msrctl.engine.protocol import JSON, Engine
    from msrctl.model.cluster import Storage
    from msrctl.plan.step import Step
    from msrctl.plan.switch import Switch
    from msrctl.workflows.reporter import Reporter
    from msrctl.workflows.stores import StoreAnswer

DRAIN_SECONDS = 120.0
"""How long the end of pushes that are under way is waited for, unless --max-wait says less."""
FROZEN_STALL_SECONDS = 60.0
"""How long a store may do nothing while pushes are held, unless --max-wait says less."""


@dataclass
class Switching:
    """One switch of the storage that is being made.

    Arguments:
        engine: a manager.
        report: where progress goes.
        switch: what is switched.
        verify_digests: whether blobs are hashed in the new store.
        max_wait: seconds for one thing to happen.
        reverting: whether it goes back to the store that the last switch left.
        asks: whether a person at a terminal is asked before tags are erased.
    """

    engine: Engine
    report: Reporter
    switch: Switch
    verify_digests: bool = False
    max_wait: float = 600.0
    reverting: bool = False
    asks: bool = False
    old_gone: str = ""
    """Why the old store cannot be read, if that is known beforehand."""
    _frozen_at: float = field(default=0.0, init=False)

    # -- before anything is changed

    def check(self, trial: Storage, *, ours: bool) -> tuple[str, ...]:
        """What must be so before a plan is begun; returns warnings.

        Arguments:
            trial: the new store with secrets that exist already.
            ours: whether the new store is marked as this cluster's, for example by a copy that was cut short.

        Raises:
            VerifyFailed: the new store is not what the policy wants.
        """
        self.report.info(policy_line(self.switch))
        match self.switch.policy:
            case Policy.EXACT:
                self._require_exact(trial)
            case Policy.MIGRATED:
                return self._look_at_migrated(trial)
            case Policy.COPY if not ours:
                self._refuse_foreign_tags(trial)
            case Policy.EMPTY if self.asks and self.report.interactive:
                self._ask_to_erase(trial)
        return ()

    def _ask_to_erase(self, trial: Storage) -> None:
        """A person at a terminal is told what would be erased; a script has typed the flag."""
        with self.report.step("new store", "looking at what is there") as progress:
            held = self._on("peek", trial, old=False).result["new"]
            progress.detail(differences.summary_words(held))
        if held["tags"] and not self.report.confirm(
            f"Erase {held['tags']:,} tags in {self.switch.new_words}?"
        ):
            raise WrongState("not confirmed", code="NOT-CONFIRMED", state=NOTHING)

    def _require_exact(self, trial: Storage) -> None:
        with self.report.step("exact copy", "comparing both stores") as progress:
            answer = self._on("compare", trial)
            if answer.ok:
                progress.detail(differences.equal_words(answer))
                return
            raise differences.not_a_copy(answer, self.switch.new_words, reverting=self.reverting)

    def _look_at_migrated(self, trial: Storage) -> tuple[str, ...]:
        """The new store for itself; then, if the old one can be read, what differs."""
        with self.report.step("new store", "following every tag") as progress:
            found = self._on("resolve", trial, old=False)
            progress.detail(differences.summary_words(found.result["new"]))
        warnings = [
            f"{line['tag']} cannot be pulled from {self.switch.new_words}: {line['why']}"
            for line in found.of("broken")[: differences.SHOWN]
        ]
        if not found.result["new"]["tags"]:
            raise VerifyFailed(
                f"{self.switch.new_words} holds no tag at all",
                code="STORE-EMPTY",
                state=NOTHING,
                hint="Is it the right place, and did the data arrive? To start empty, say "
                "--reinitialize-storage instead.",
            )
        if self.old_gone:
            return (*warnings, f"the old store was not compared, it cannot be read: {self.old_gone}")
        try:
            answer = self._on("compare", trial)
        except MsrctlError as error:
            return (*warnings, f"the old store was not compared, it cannot be read: {error}")
        if not answer.ok:
            warnings += differences.warnings(answer, self.switch.new_words)
        return tuple(warnings)

    def _refuse_foreign_tags(self, trial: Storage) -> None:
        """A copy makes the tags of the target those of the source: tags that only the target has would go."""
        with self.report.step("new store", "looking at what is there") as progress:
            answer = self._on("compare", trial)
            progress.detail(differences.summary_words(answer.result["new"]))
        if answer.result["extra_tags"]:
            raise differences.foreign_tags(answer, self.switch.new_words)

    # -- steps

    @property
    def actions(self) -> dict[tuple[str, str], Callable[[Step], None]]:
        """What to do for each step that only a switch has."""
        return {
            ("copy", "store"): self._copy,
            ("remove", "tags"): self._erase,
            ("close", "gate"): self._freeze,
            ("check", "store"): self._verify,
            ("switch", "proxy"): self._turn,
            ("open", "gate"): self._thaw,
            ("remove", "service"): self._remove,
        }

    def probe(self, otherwise: Callable[[str], str]) -> Callable[[str], str]:
        """The check of a service, the registries that stand in included.

        Arguments:
            otherwise: the check of every other service.
        """
        stand_in = {names.next_registry(r.id): r for r in self.switch.after.replicas}

        def look(service: str) -> str:
            replica = stand_in.get(service)
            if replica is None:
                return otherwise(service)
            seen = probe.through_node(
                self.engine, self.switch.after, replica, proxy=False, pull=True, service=service
            )
            return probe.require_all(seen, replica)

        return look

    def _copy(self, _: Step) -> None:
        with self.report.step("copy", "pulls and pushes go on") as progress:
            began = time.monotonic()
            answer = self._on(
                "copy",
                self.switch.after.storage,
                marks=True,
                watch=lambda line: progress.detail(differences.progress_words(line, began)),
            )
            if not answer.ok:
                raise differences.not_copied(answer)
            progress.detail(differences.copied_words(answer.result, began))

    def _erase(self, _: Step) -> None:
        with self.report.step("erase", f"all tags in {self.switch.new_words}") as progress:
            answer = self._on("erase", self.switch.after.storage, old=False).require()
            progress.detail(f"{answer.result['erased']:,} objects of {self.switch.new_words}")

    def _freeze(self, _: Step) -> None:
        with self.report.step("freeze", "holding pushes") as progress:
            self._frozen_at = time.monotonic()
            gates.set_gates(self.engine, self.switch.after, set=[gates.FROZEN])
            gates.wait_drained(self.engine, self.switch.after, min(self.max_wait, DRAIN_SECONDS))
            progress.detail(f"pushes answer 503 from {datetime.now(UTC):%H:%M:%S}Z")

    def _verify(self, _: Step) -> None:
        """Nobody writes now: the rest is copied, the stores are compared, the new one gets its marker."""
        storage = self.switch.after.storage
        with self.report.step("verify") as progress:
            match self.switch.policy:
                case Policy.COPY:
                    answer = self._on("delta", storage, marks=True)
                case Policy.EXACT:
                    answer = self._on("compare", storage, marks=True)
                case _:
                    self._on("mark", storage, marks=True, old=False).require()
                    progress.detail("the new store is marked as this cluster's")
                    return
            if not answer.ok:
                raise differences.changed_meanwhile(answer, self.switch)
            progress.detail(differences.equal_words(answer))

    def _turn(self, step: Step) -> None:
        """Sends a replica's proxy to the registry that stands in, or back to its own."""
        replica = next(
            r for r in self.switch.after.replicas if step.name.startswith(names.service("registry", r.id))
        )
        stands_in = step.name == names.next_registry(replica.id)
        one = gates.only(self.switch.after, replica)
        with self.report.step("switch", replica.id) as progress:
            if stands_in:
                gates.set_gates(self.engine, one, set=[gates.NEXT])
            else:
                gates.set_gates(self.engine, one, clear=[gates.NEXT])
            progress.detail(
                f"{replica.id} serves {self.switch.new_words if stands_in else 'by its own registry'}"
            )

    def _thaw(self, _: Step) -> None:
        with self.report.step("thaw") as progress:
            gates.set_gates(self.engine, self.switch.after, clear=[gates.FROZEN])
            if self._frozen_at:
                progress.detail(f"frozen for {time.monotonic() - self._frozen_at:.1f} s")

    def _remove(self, step: Step) -> None:
        found = self.engine.find("services", step.name)
        if found is not None:
            self.engine.remove("services", found["ID"])

    # -- tools

    def _on(
        self,
        action: str,
        storage: Storage,
        *,
        old: bool = True,
        marks: bool = False,
        watch: Callable[[JSON], None] | None = None,
    ) -> StoreAnswer:
        options: tuple[str, ...] = owner_options(self.switch.after) if marks else ()
        if self.verify_digests and action in {"copy", "delta"}:
            options += ("--verify-digests",)
        before = self.switch.before.storage
        most = FROZEN_STALL_SECONDS if self._frozen_at else STALL_SECONDS
        return on_stores(
            self.engine,
            self.switch.first,
            self.switch.after,
            action,
            new=Side(
                storage,
                writable=marks or action not in {"compare", "resolve"},
                labels=registry_labels(self.switch.after, self.switch.first),
            ),
            old=Side(before) if old else None,
            options=options,
            stall=min(most, self.max_wait),
            watch=watch,
        )
