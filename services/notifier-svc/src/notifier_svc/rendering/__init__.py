"""From a decided touch to the words that leave: e-mail, SMS and letter in the customer's language."""

from notifier_svc.rendering.context import MessageContext, PaymentInfo, Rendered
from notifier_svc.rendering.renderer import catalogue, render
from notifier_svc.rendering.wordings import Entry

__all__ = ["Entry", "MessageContext", "PaymentInfo", "Rendered", "catalogue", "render"]
