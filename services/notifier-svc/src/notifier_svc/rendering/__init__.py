"""From a decided touch to the words that leave: e-mail, SMS and letter in the customer's language."""

from notifier_svc.rendering.context import MessageContext, PaymentInfo, Rendered

__all__ = ["MessageContext", "PaymentInfo", "Rendered"]
